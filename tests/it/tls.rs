//! `quickproof probe` against servers whose certificates nobody has heard of.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    thread,
};

use rstest::rstest;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::Value;

use crate::{
    lies::{MODEL, right},
    probe::{Probed, probe},
    served,
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

/// A good model server behind TLS, whose key is in `tests/data/tls` and is used nowhere else, with the certificate of this name; its address without a scheme. It goes on until the
/// process ends.
fn secured(certificate: &str) -> String {
    let chain = CertificateDer::from_pem_file(file(&format!("{certificate}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(file(&format!("{certificate}.key"))).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            // Whoever does not speak TLS, or does not trust it, goes away.
            thread::spawn(move || {
                let mut stream = StreamOwned::new(session, connection);
                let asked = served::read(&mut stream)?;
                stream.write_all(&right(&asked).rendered())?;
                stream.conn.send_close_notify();
                stream.flush()
            });
        }
    });
    address
}

#[track_caller]
fn is_errored(probed: &Probed, cause: &str) -> String {
    assert_eq!(probed.code, Some(3), "{}", probed.stderr);
    assert_eq!(probed.broken(), ["endpoint-answers"]);
    let json = probed.json();
    let checks = json["checks"].as_array().unwrap();
    let broken = checks.iter().find(|check| check["finding"] == "broken").unwrap();
    assert_eq!(
        (&broken["cause"], &broken["blame"]),
        (&cause.into(), &"CommandLine".into()),
        "{broken}"
    );
    probed.files["report.txt"]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[rstest]
#[case::signed_by_itself("self", &[], "signed by itself")]
#[case::of_another_name("other", &["--cacert", "other"], "for another name")]
#[case::not_the_one_that_was_given("self", &["--cacert", "other"], "signed by itself")]
fn a_certificate_that_is_not_trusted_is_explained_with_the_flag_that_helps(
    #[case] certificate: &str,
    #[case] arguments: &[&str],
    #[case] said: &str,
) {
    let url = format!("https://{}", secured(certificate));
    let trusted = file("other.pem");
    let mut all = vec![url.as_str(), "--model", MODEL, "-o", "json"];
    all.extend(arguments.iter().map(|one| {
        if *one == "other" {
            trusted.to_str().unwrap()
        } else {
            one
        }
    }));
    let report = is_errored(&probe(&all), "certificate-not-trusted");
    assert!(report.contains(said) && report.contains("`--cacert FILE`"), "{report}");
}

#[test]
fn a_certificate_that_is_given_is_trusted() {
    let url = format!("https://{}", secured("self"));
    let probed = probe(&[&url, "--cacert", file("self.pem").to_str().unwrap(), "-o", "json"]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    assert!(!probed.stdout.contains("insecure"), "{}", probed.stdout);
}

#[test]
fn that_nobody_looked_at_certificates_is_said_in_every_report() {
    let url = format!("https://{}", secured("other"));
    let probed = probe(&[&url, "--insecure", "-o", "json"]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let said = "nobody looked at certificates (`--insecure`)";
    assert!(
        probed.json()["subject"].as_str().unwrap().contains(said),
        "{}",
        probed.stdout
    );
    let record: Value = serde_json::from_str(&probed.files["record.json"]).unwrap();
    assert!(record["subject"]["extent"].as_str().unwrap().contains(said), "{record}");
    for text in [
        &probed.stderr,
        &probed.files["report.txt"],
        &probed.files["junit_quickproof.xml"],
    ] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn an_address_of_the_other_scheme_is_wrong_and_the_right_one_is_named() {
    let report = is_errored(&probe(&[&secured("self"), "-o", "json"]), "address-wrong");
    assert!(report.contains("the address must begin with `https://`"), "{report}");
    // What speaks HTTP, and is asked for TLS, says so at once.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", plain.local_addr().unwrap());
    thread::spawn(move || {
        for mut connection in plain.incoming().map_while(Result::ok) {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let report = is_errored(&probe(&[&address, "-o", "json"]), "address-wrong");
    assert!(report.contains("the address must begin with `http://`"), "{report}");
}

#[rstest]
#[case::not_there("no-such-file", "no-such-file")]
#[case::a_key("self.key", "holds no certificate")]
fn a_file_that_holds_no_certificate_is_an_error_of_use(#[case] name: &str, #[case] said: &str) {
    let probed = probe(&["https://localhost:1", "--cacert", file(name).to_str().unwrap()]);
    assert_eq!(probed.code, Some(2), "{}", probed.stderr);
    assert!(
        probed.stderr.contains(said) && probed.stderr.contains("--cacert"),
        "{}",
        probed.stderr
    );
}
