//! Whom a probe trusts to be who they say.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

use super::Protocol;

/// Whose certificates are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those that somebody has signed whom this machine trusts.
    #[default]
    Machine,
    /// Those, and what is in this file: certificates that have signed others, or that a server itself has.
    Also(Certificates),
    /// Any: nobody looks.
    Anyone,
}

/// Certificates of a file, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates(Vec<CertificateDer<'static>>);

impl Certificates {
    /// Reads a file in PEM.
    ///
    /// # Errors
    /// In words, why it holds no certificate.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = read.map_err(|error| error.to_string())?;
        if certificates.is_empty() {
            return Err("it holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)".to_owned());
        }
        for certificate in &certificates {
            ParsedCertificate::try_from(certificate).map_err(|error| error.to_string())?;
        }
        Ok(Self(certificates))
    }
}

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// TLS in which both sides may agree on what the protocol allows.
///
/// # Errors
/// It cannot be set up.
pub(super) fn tls(protocol: Protocol, trust: &Trust) -> Result<ClientConfig, ProbeError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let given = match trust {
        Trust::Also(certificates) => certificates.0.clone(),
        Trust::Machine | Trust::Anyone => Vec::new(),
    };
    let verifier = Trusting {
        machine: Verifier::new_with_extra_roots(given, Arc::clone(&provider))?,
        trust: trust.clone(),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::H2PriorKnowledge => vec![b"h2".to_vec()],
        Protocol::Negotiated => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// Looks at certificates as this machine does, and beyond that as it was told to.
#[derive(Debug)]
struct Trusting {
    machine: Verifier,
    trust: Trust,
}

impl ServerCertVerifier for Trusting {
    /// A certificate that was given is trusted as it is, whatever it says that it is for; only its names are looked at. The
    /// machine's verifier takes none that may sign others, and what `openssl req -x509` makes may.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let by_machine = || {
            self.machine
                .verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
        };
        match &self.trust {
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
            Trust::Also(Certificates(given)) if given.contains(end_entity) => by_machine().or_else(|_| {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }),
            Trust::Also(_) | Trust::Machine => by_machine(),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.machine.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.machine.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.machine.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("")]
    #[case::no_certificate("hello\n")]
    #[case::a_key(include_str!("../../tests/data/tls/self.key"))]
    #[case::nonsense_in_a_frame("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    fn a_file_without_a_certificate_is_refused(#[case] pem: &str) {
        Certificates::read(pem.as_bytes()).unwrap_err();
    }

    #[test]
    fn the_certificates_of_a_file_are_read() {
        let both = [
            include_str!("../../tests/data/tls/self.pem"),
            include_str!("../../tests/data/tls/other.pem"),
        ];
        assert_eq!(Certificates::read(both.concat().as_bytes()).unwrap().0.len(), 2);
    }
}
