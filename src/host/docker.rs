//! The container engine, asked through its command-line client.

use std::time::Duration;

use super::{Call, Ended, Host, HostError};

/// How long the engine may take to answer one question.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// A call of the engine's client, without a time limit: for what takes as long as it takes, such as loading an image.
pub(crate) fn docker<I: IntoIterator<Item = S>, S: Into<String>>(arguments: I) -> Call {
    Call::new("docker").args(arguments)
}

impl Host {
    /// Asks the engine one thing, which must succeed within a minute.
    ///
    /// # Errors
    /// The client is missing, the engine does not answer in time, or says no.
    pub(crate) async fn docker<I: IntoIterator<Item = S>, S: Into<String>>(
        &self,
        arguments: I,
    ) -> Result<Ended, HostError> {
        self.run_ok(&docker(arguments).time_limit(ANSWERS_WITHIN)).await
    }
}
