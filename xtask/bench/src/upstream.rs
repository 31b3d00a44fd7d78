//! An upstream that costs as little as it can: a fixed answer of 1 KiB, or files kept in memory.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

static BODY: [u8; 1024] = [b'x'; 1024];

/// What is answered.
#[derive(Clone)]
pub(crate) enum Answers {
    /// The same to everything.
    Fixed,
    /// Files, by path.
    Files(Arc<HashMap<String, Bytes>>),
}

impl Answers {
    /// The files of this folder; without one, the fixed answer.
    ///
    /// # Errors
    /// If the folder or a file in it cannot be read.
    pub(crate) fn read(folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else {
            return Ok(Self::Fixed);
        };
        let mut files = HashMap::new();
        let entries =
            fs::read_dir(folder).with_context(|| format!("{} is no folder", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = format!("/{}", entry.file_name().to_string_lossy());
                files.insert(name, Bytes::from(fs::read(entry.path())?));
            }
        }
        Ok(Self::Files(Arc::new(files)))
    }

    fn to(&self, path: &str) -> Response<Full<Bytes>> {
        match self {
            Self::Fixed => Response::new(Full::new(Bytes::from_static(&BODY))),
            Self::Files(files) => match files.get(path) {
                Some(file) => Response::new(Full::new(file.clone())),
                None => {
                    let mut response = Response::default();
                    *response.status_mut() = StatusCode::NOT_FOUND;
                    response
                }
            },
        }
    }
}

/// Serves until the process ends.
///
/// # Errors
/// If the address cannot be listened on.
pub(crate) async fn serve(listen: SocketAddr, answers: Answers) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = answers.clone();
        tokio::spawn(http1::Builder::new().serve_connection(
            TokioIo::new(stream),
            service_fn(move |request: Request<hyper::body::Incoming>| {
                let answer = answers.to(request.uri().path());
                async move {
                    // To its end, or the connection could not be kept. If it breaks off, whoever sent
                    // it reads no answer.
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(answer)
                }
            }),
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hyper::StatusCode;

    use super::Answers;

    #[test]
    fn files_are_answered_by_path_and_everything_without_a_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = Answers::read(Some(folder)).unwrap();
        assert_eq!(files.to("/Cargo.toml").status(), StatusCode::OK);
        assert_eq!(files.to("/src").status(), StatusCode::NOT_FOUND);
        assert_eq!(files.to("/").status(), StatusCode::NOT_FOUND);
        let fixed = Answers::read(None).unwrap();
        assert_eq!(fixed.to("/anything").status(), StatusCode::OK);
        assert!(Answers::read(Some(&folder.join("Cargo.toml"))).is_err());
    }
}
