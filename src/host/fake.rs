//! Programs that tests write, in place of those that are not there.

use std::path::Path;

use super::{Call, Host};

/// Makes a shell script that can be run at once. It is not written by this process: as long as a child that was just forked
/// holds it open for writing, the system would refuse to run it.
pub(crate) async fn script(path: &Path, text: &str) {
    let write = "cat >\"$0\" && chmod +x \"$0\"";
    let call = Call::new("sh").args(["-c", write]).arg(path.to_string_lossy());
    let whole = format!("#!/bin/sh\nset -e\n{text}\n");
    Host::real().run_ok(&call.input(whole)).await.unwrap();
}
