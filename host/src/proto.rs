//! The generated types of `proto/`, a module for each package.
//!
//! Only shapes live here: what a field means is written in the `.proto` files, and what a record does in `state::fold`.

/// The public protocol, `chat.v1`.
pub mod v1 {
    #![allow(missing_docs, clippy::all)] // Generated; documented in proto/chat/v1/chat.proto.
    tonic::include_proto!("chat.v1");
}

/// The records of the logs, `chat.log`.
pub mod log {
    /// `chat.log.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all)] // Generated; documented in proto/chat/log/v1/log.proto.
        tonic::include_proto!("chat.log.v1");
    }
}

/// All descriptors, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
