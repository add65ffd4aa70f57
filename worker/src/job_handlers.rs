//! The handler of each kind of job. A new kind has a file in this folder and two lines here.

mod make_variant;
mod process_file;
mod process_picture;
mod verify_upload;

use domain::Job;
use records::Attempt;

use crate::attempt_result::AttemptResult;
use crate::worker::Worker;

impl Worker {
    /// Runs the handler of the attempt's job.
    pub(crate) async fn run_handler(&self, attempt: &mut Attempt) -> AttemptResult {
        let ended = match attempt.message.job.clone() {
            Job::ProcessPicture { .. } => self.process_picture(attempt).await,
            Job::ProcessRendition { .. } | Job::ProcessFile { .. } => self.process_file(attempt).await,
            Job::VerifyUpload { .. } => self.verify_upload(attempt).await,
            Job::MakeVariant { generation, variant, .. } => self.make_variant(attempt, generation, variant).await,
        };
        // An attempt that ended early returned its result as an error.
        ended.unwrap_or_else(|result| result)
    }
}
