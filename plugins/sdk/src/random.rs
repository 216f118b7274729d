//! Cryptographically secure random bytes, from the host's source
//! (`wasi:random/random`): for keys and secrets.
//!
//! ```
//! use hearth_plugin::random;
//! let secret: [u8; 24] = random::bytes()?;
//! assert_ne!(secret, random::bytes::<24>()?);
//! # Ok::<(), hearth_plugin::Problem>(())
//! ```

use crate::problem::Problem;

/// So many fresh bytes. 500 `no-randomness` where there are none, which a host
/// does not answer.
pub fn bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    let missing = |_| {
        Problem::new(500, "no-randomness", "Internal error").detail("no random bytes are available")
    };
    getrandom::fill(&mut bytes).map_err(missing)?;
    Ok(bytes)
}

/// A number from 0 to 1, without 1: to spread what would else happen at once.
pub fn fraction() -> f64 {
    let [high, low] = bytes().map_or([0, 0], |bytes: [u8; 2]| bytes);
    f64::from(u16::from_be_bytes([high, low])) / 65_536.0
}
