//! A form with a file and its parameters, in any order. The file's bytes are written to staging as they arrive. The
//! parameters are limited in size and kept in memory. If the form is dropped before it is finished, no bytes of the
//! file stay.

use storage::{StagedWriter, Staging};

use crate::dropbox::filename::sanitize_filename;
use crate::error::ApiError;
use crate::http::multipart::MultipartReader;

/// The most bytes of the parameters, and of any other part that is not the file.
const MAX_PARAMETERS_BYTES: u64 = 64 << 10;

/// The content of the form.
#[derive(Default)]
pub(crate) struct UploadForm {
    /// The file and its file name. None if the form has no file, or an empty one.
    pub(crate) file: Option<(StagedWriter, String)>,
    /// The parameters as they were sent.
    pub(crate) parameters: Option<Vec<u8>>,
}

impl UploadForm {
    /// Reads a form. `file` is the name of the part with the file, which has at most `limit` bytes.
    pub(crate) async fn read(
        mut multipart: MultipartReader,
        staging: &Staging,
        file: &str,
        limit: u64,
    ) -> Result<Self, ApiError> {
        let (mut received_file, mut has_file_part) = (None, false);
        let (mut schema, mut examples) = (None, None);
        let duplicate_part =
            |name: &str| ApiError::malformed("bad_multipart", format!("the form has two parts called \"{name}\""));
        while let Some(mut part) = multipart.next_part().await? {
            // The contract's schema and its examples use different names for the parameters. Both
            // names are accepted, and the schema's name takes precedence
            // (`docs/contracts/renditions.md`, 5.2).
            let slot = match part.name.as_str() {
                name if name == file => {
                    if std::mem::replace(&mut has_file_part, true) {
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
