//! Two hundred concurrent uploads of 4 MiB cost less than 128 MiB of memory, because bodies are streamed and not
//! collected.

use futures::future::join_all;
use test_support::portal::PortalClient;
use test_support::process::{DataFolder, ServerProcess};

const UPLOADS: usize = 200;
const UPLOAD_BYTES: usize = 4 << 20;
const LIMIT_KIB: u64 = 128 << 10;

/// A body that looks like a JPEG to the api's check and costs a decoder no memory.
fn body() -> Vec<u8> {
    let mut bytes = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
    bytes.resize(UPLOAD_BYTES, 0);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_concurrent_uploads_need_little_memory() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(
        &folder,
        &[("CLOAKROOM__UPLOADS__MAX_UNCLAIMED", "1000"), ("CLOAKROOM__UPLOADS__MAX_UNCLAIMED_BYTES", "2 GiB")],
    );
    let portal = PortalClient::log_in(&process).await;
    let before = process.memory_kib("VmRSS");
    let bytes = body();
    let answers = join_all((0..UPLOADS).map(|_| portal.try_upload("wait=30", "large.jpg", bytes.clone()))).await;
    let peak = process.memory_kib("VmHWM");
    for answer in answers {
        let answer = answer.unwrap();
        let status = answer.status().as_u16();
        assert!(matches!(status, 202 | 422), "{status}: {}", answer.text().await.unwrap());
    }
    let rise = peak.saturating_sub(before);
    println!(
        "{UPLOADS} uploads of {} MiB at once: {} MiB before, {} MiB at the peak",
        UPLOAD_BYTES >> 20,
        before >> 10,
        peak >> 10
    );
    assert!(rise < LIMIT_KIB, "the process grew by {rise} KiB");
}
