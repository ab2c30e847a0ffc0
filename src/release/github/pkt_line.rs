//! Packet lines, the framing of Git's protocols (gitprotocol-common(5)).

/// The most bytes of a packet, its length included.
const MOST_BYTES: usize = 65_520;

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// `0000`: the message ends.
    Flush,
    /// `0001`: a section ends.
    Delimiter,
    /// `0002`: the response ends.
    End,
    /// Anything else, without its length.
    Data(&'a [u8]),
}

/// Why bytes are no packets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of the answer begins no packet of Git's protocol")]
pub struct PacketError {
    /// Where, counted from 0.
    pub(crate) at: usize,
}

/// Reads packets to the end of the bytes.
pub(super) fn packets(bytes: &[u8]) -> Result<Vec<Packet<'_>>, PacketError> {
    let mut packets = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let refuse = || PacketError { at };
        let digits = bytes.get(at..at + 4).ok_or_else(refuse)?;
        // `from_str_radix` would take a sign.
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(refuse());
        }
        let digits = std::str::from_utf8(digits).map_err(|_| refuse())?;
        let length = usize::from_str_radix(digits, 16).map_err(|_| refuse())?;
        let packet = match length {
            0 => Packet::Flush,
            1 => Packet::Delimiter,
            2 => Packet::End,
            3 => return Err(refuse()),
            length if length > MOST_BYTES => return Err(refuse()),
            length => Packet::Data(bytes.get(at + 4..at + length).ok_or_else(refuse)?),
        };
        packets.push(packet);
        at += length.max(4);
    }
    Ok(packets)
}

/// A line as a packet, its line feed added.
pub(super) fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn packets_are_read_in_order() {
        let bytes = format!("{}0001{}0000", line("command=ls-refs"), line("peel"));
        let wanted = [
            Packet::Data(b"command=ls-refs\n"),
            Packet::Delimiter,
            Packet::Data(b"peel\n"),
            Packet::Flush,
        ];
        assert_eq!(packets(bytes.as_bytes()).unwrap(), wanted);
    }

    #[rstest]
    #[case::a_length_cut_off(b"000", 0)]
    #[case::no_length(b"<html>", 0)]
    #[case::a_signed_length(b"+00a", 0)]
    #[case::a_length_below_its_own(b"0003", 0)]
    #[case::more_than_there_is(b"0000000aab", 4)]
    #[case::more_than_may_be(b"ffff", 0)]
    fn what_is_no_packet_is_refused_where_it_stands(#[case] bytes: &[u8], #[case] at: usize) {
        assert_eq!(packets(bytes), Err(PacketError { at }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = packets(&bytes);
        }

        #[test]
        fn every_line_reads_back(text in "[ -~]{0,100}") {
            let packet = line(&text);
            let text = format!("{text}\n");
            prop_assert_eq!(packets(packet.as_bytes()).unwrap(), [Packet::Data(text.as_bytes())]);
        }
    }
}
