//! A stream lasts no longer than the key that opened it.

use std::time::Duration;

use crate::edge::keys::Keys;
use hearth_runtime::capability::push::Client;

/// Ends streams whose keys are revoked or have expired, for as long as it is polled.
pub async fn end_with_keys(keys: Keys, push: Client) {
    let every = Duration::from_millis(push.config().key_look_ms);
    let mut watch = keys.watch();
    loop {
        tokio::time::sleep(every).await;
        let held = push.keys();
        let ended = watch.ended(&held).await;
        if !ended.is_empty() {
            push.end_keys(&ended);
        }
    }
}
