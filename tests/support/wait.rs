//! Waiting in tests: for a thing to become true, not for time to pass.

use std::time::Duration;

/// Polls until `what` holds; fails the test after a minute.
pub async fn until(name: &str, mut what: impl FnMut() -> bool) {
    let patience = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), patience).await.is_err() {
        panic!("waited a minute for: {name}");
    }
}
