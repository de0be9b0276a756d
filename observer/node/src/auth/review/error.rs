//! Why a question has no answer.

use std::time::Duration;

/// Why a question has no answer. It is shown to callers, so it names no
/// address; the log says more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReviewError {
    /// No answer in time.
    #[error("the API server did not answer within {0:?}")]
    Late(Duration),
    /// It could not be reached, or failed.
    #[error("the API server cannot be reached")]
    Away,
    /// It does not let us ask.
    #[error(
        "the API server does not let the observer ask ({0}); bind ClusterRole system:auth-delegator to its service account"
    )]
    Refused(u16),
    /// It has answered with a failure.
    #[error("the API server failed with status {0}")]
    Failed(u16),
    /// It could not tell.
    #[error("the API server could not tell")]
    Unknown,
    /// Too many questions wait.
    #[error("too many requests wait for the API server")]
    Busy,
}

impl ReviewError {
    pub(super) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
                Self::Refused(status.code)
            }
            kube::Error::Api(status) => Self::Failed(status.code),
            _ => Self::Away,
        }
    }

    /// Whether asking again soon may help.
    pub(super) const fn is_passing(&self) -> bool {
        match self {
            Self::Away => true,
            Self::Failed(status) => *status == 429 || *status >= 500,
            Self::Late(_) | Self::Refused(_) | Self::Unknown | Self::Busy => false,
        }
    }
}
