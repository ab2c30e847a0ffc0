//! A server of raw bytes for tests: it says exactly what a test wants said, when and how the test wants it, and ends as the
//! test wants it to end. Used by the unit tests, by `tests/it` and by the benchmarks.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Most bytes of a request that are read.
const REQUEST_BOUND: usize = 1 << 20;

/// A server on a port of its own. Each connection has a thread, so it serves synchronous tests as well as asynchronous ones.
/// It goes away when it is dropped; a connection goes away when its script returns.
pub(crate) struct Served {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

/// A request as it came: its head with all line ends, and its body.
pub(crate) struct Asked {
    /// From the request line to the blank line.
    pub(crate) head: String,
    /// As long as `content-length` says.
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The path of the request line, with its query.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// The connection that a request came on.
pub(crate) struct Wire(TcpStream);

impl Wire {
    /// Sends these bytes now, in one piece.
    ///
    /// # Errors
    /// The other side is gone; a script that would go on for ever ends by this.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref())
    }

    /// Waits for the next request on the same connection.
    ///
    /// # Errors
    /// The other side is gone.
    pub(crate) fn next(&mut self) -> io::Result<Asked> {
        read(&mut self.0)
    }

    /// Ends the connection with a reset, in place of the end that it gets when the script returns.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.0).set_linger(Some(Duration::ZERO))
    }

    /// Waits until the other side is gone; what it still sends is dropped.
    ///
    /// # Errors
    /// The other side went without a word.
    pub(crate) fn hold(mut self) -> io::Result<()> {
        let mut dropped = [0; 4096];
        while self.0.read(&mut dropped)? > 0 {}
        Ok(())
    }
}

impl Served {
    /// A server that plays `script` for each request; each connection carries one. What the script has sent when it
    /// returns is all that comes: the connection is then closed.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn start(script: impl Fn(&Asked, Wire) -> io::Result<()> + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let (closing, script) = (Arc::clone(&closed), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if closing.load(Ordering::Acquire) {
                    break;
                }
                let script = Arc::clone(&script);
                // An error here is the other side's leaving, which is its own affair.
                thread::spawn(move || serve(stream, script.as_ref()));
            }
        });
        Ok(Self { address, closed })
    }

    /// A server that answers every request with these bytes, and then closes the connection.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> io::Result<Self> {
        let bytes = bytes.into();
        Self::start(move |_, mut wire| wire.send(&bytes))
    }

    /// The URL of this path, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        // Wakes the listener, which then sees it.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, script: &dyn Fn(&Asked, Wire) -> io::Result<()>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let asked = read(&mut stream)?;
    script(&asked, Wire(stream))
}

/// Reads one request: to its blank line, and as far as its `content-length` says.
pub(crate) fn read(stream: &mut impl io::Read) -> io::Result<Asked> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 4]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let named = name.eq_ignore_ascii_case("content-length");
                named.then(|| value.trim().parse::<usize>().ok()).flatten()
            });
            let all = end + 4 + length.unwrap_or(0);
            if bytes.len() >= all {
                let body = bytes[end + 4..all].to_vec();
                return Ok(Asked { head, body });
            }
        }
        let count = stream.read(&mut piece)?;
        if count == 0 || bytes.len() > REQUEST_BOUND {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends this request, and reads what comes.
    fn ask(served: &Served, request: &str) -> io::Result<String> {
        let address = served.url("").trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn the_server_says_what_it_was_given_and_closes() {
        let served = Served::bytes("not even HTTP").unwrap();
        for _ in 0..2 {
            assert_eq!(ask(&served, "GET / HTTP/1.1\r\n\r\n").unwrap(), "not even HTTP");
        }
    }

    #[test]
    fn a_script_sees_what_was_asked() {
        let served = Served::start(|asked, mut wire| {
            wire.send(asked.path())?;
            wire.send(&asked.body)
        })
        .unwrap();
        let request = "POST /v1?a=b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(ask(&served, request).unwrap(), "/v1?a=babc");
    }

    #[test]
    fn a_reset_is_no_end() {
        let served = Served::start(|_, wire| wire.reset()).unwrap();
        let error = ask(&served, "GET / HTTP/1.1\r\n\r\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_connection_is_held_until_the_other_side_is_gone() {
        let (gone, is_gone) = std::sync::mpsc::channel();
        let served = Served::start(move |_, wire| {
            let held = wire.hold();
            let _ = gone.send(());
            held
        })
        .unwrap();
        let address = served.url("").trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(is_gone.try_recv().is_err());
        drop(stream);
        is_gone.recv().unwrap();
    }
}
