//! A file and its parameters, in whichever order they come: the file's bytes go into staging as they flow, the parameters
//! are bounded and kept. Dropped before it is finished, nothing of the file stays.

use upload::{Intake, Staging};

use crate::problem::ApiError;
use crate::receive::label::label;
use crate::receive::walk::Walk;

/// The most bytes of parameters, and of a part that is neither.
const PARAMETERS: u64 = 64 << 10;

/// What came.
#[derive(Default)]
pub(crate) struct Form {
    /// The file and what the client called it; None where there is none, or an empty one.
    pub(crate) file: Option<(Intake, String)>,
    /// The parameters, as they were written.
    pub(crate) parameters: Option<Vec<u8>>,
}

impl Form {
    /// Reads a form whose file is called `file` and has at most `limit` bytes.
    pub(crate) async fn read(mut walk: Walk, staging: &Staging, file: &str, limit: u64) -> Result<Self, ApiError> {
        let (mut taken, mut seen, mut schema, mut examples) = (None, false, None, None);
        let twice =
            |name: &str| ApiError::malformed("bad_multipart", format!("the form has two parts called \"{name}\""));
        while let Some(mut part) = walk.next().await? {
            // The schema calls the parameters one thing and every example another: both are taken, the schema wins.
            let slot = match part.name.as_str() {
                name if name == file => {
                    if std::mem::replace(&mut seen, true) {
                        return Err(twice(file));
                    }
                    let mut intake = staging.intake();
                    while let Some(chunk) = part.chunk().await? {
                        let received = intake.received() + chunk.len() as u64;
                        if received > limit {
                            return Err(ApiError::TooLarge { what: "the file", limit, received });
                        }
                        intake.write(&chunk).await?;
                    }
                    let called = part.file.as_deref().filter(|name| !name.is_empty()).unwrap_or("file");
                    taken = (intake.received() > 0).then(|| (intake, label(called)));
                    continue;
                }
                "jsonInputParameters" => &mut schema,
                "parameters" => &mut examples,
                _ => {
                    part.skip(PARAMETERS).await?;
                    continue;
                }
            };
            if slot.is_some() {
                return Err(twice(&part.name));
            }
            *slot = Some(part.text(PARAMETERS).await?);
        }
        Ok(Self { file: taken, parameters: schema.or(examples) })
    }
}
