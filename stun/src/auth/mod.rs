//! Authentication (RFC 8489 §9): machines of their own, for whoever builds a client or a server.

mod credentials;
mod long_term_client;
mod long_term_server;
mod nonce;
mod parking;
mod refusal;
mod short_term;
mod users;

pub use credentials::{Credentials, Secret};
pub use long_term_client::{ChallengeError, Choice, LongTermClient, lacks_algorithms};
pub use long_term_server::{Checked, Claim, LongTermConfig, LongTermServer};
pub use nonce::SecurityFeatures;
pub use parking::{MAX_PARKED, Parking, UserWanted};
pub use refusal::{Refusal, Seal};
pub use short_term::{ShortTermClient, check_short_term};
pub use users::{StaticUsers, TimeLimitedUsers, User, UserAnswer, UserName, UserQuery, Users};
