//! A file and its parameters, in whichever order they come: the file's bytes go into staging as they flow, the parameters
//! are bounded and kept. Dropped before it is finished, nothing of the file stays.

use upload::{StagedWriter, Staging};

use crate::dropbox::filename::sanitize_filename;
use crate::dropbox::multipart::MultipartReader;
use crate::error::ApiError;

/// The most bytes of parameters, and of a part that is neither.
const MAX_PARAMETERS_BYTES: u64 = 64 << 10;

/// What came.
#[derive(Default)]
pub(crate) struct UploadForm {
    /// The file and what the client called it; None where there is none, or an empty one.
    pub(crate) file: Option<(StagedWriter, String)>,
    /// The parameters, as they were written.
    pub(crate) parameters: Option<Vec<u8>>,
}

impl UploadForm {
    /// Reads a form whose file is called `file` and has at most `limit` bytes.
    pub(crate) async fn read(
        mut multipart: MultipartReader,
        staging: &Staging,
        file: &str,
        limit: u64,
    ) -> Result<Self, ApiError> {
        let (mut received_file, mut seen, mut schema, mut examples) = (None, false, None, None);
        let duplicate_part =
            |name: &str| ApiError::malformed("bad_multipart", format!("the form has two parts called \"{name}\""));
        while let Some(mut part) = multipart.next_part().await? {
            // The schema calls the parameters one thing and every example another: both are taken, the schema wins.
            let slot = match part.name.as_str() {
                name if name == file => {
                    if std::mem::replace(&mut seen, true) {
                        return Err(duplicate_part(file));
                    }
                    let mut staged_writer = staging.new_writer();
                    while let Some(chunk) = part.chunk().await? {
                        let received = staged_writer.bytes_received() + chunk.len() as u64;
                        if received > limit {
                            return Err(ApiError::TooLarge { what: "the file", limit, received });
                        }
                        staged_writer.write(&chunk).await?;
                    }
                    let filename = part.filename.as_deref().filter(|name| !name.is_empty()).unwrap_or("file");
                    received_file =
                        (staged_writer.bytes_received() > 0).then(|| (staged_writer, sanitize_filename(filename)));
                    continue;
                }
                "jsonInputParameters" => &mut schema,
                "parameters" => &mut examples,
                _ => {
                    part.skip(MAX_PARAMETERS_BYTES).await?;
                    continue;
                }
            };
            if slot.is_some() {
                return Err(duplicate_part(&part.name));
            }
            *slot = Some(part.read_to_end(MAX_PARAMETERS_BYTES).await?);
        }
        Ok(Self { file: received_file, parameters: schema.or(examples) })
    }
}
