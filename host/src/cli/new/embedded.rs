//! What build.rs put into the binary: paths and texts of files.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
