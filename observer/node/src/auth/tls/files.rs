//! Files that change under us: Kubernetes replaces a mounted secret by turning
//! a symbolic link, people write over the file. Both show in the contents, so
//! the contents are compared; they are a few kilobytes.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::error::TlsError;

/// No certificate chain is longer; a mistaken path may name anything.
const LONGEST: u64 = 1 << 20;

/// The files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// PEM, the serving certificate first, then its issuers.
    pub certificate: PathBuf,
    /// PEM, the private key.
    pub key: PathBuf,
}

type Contents<const N: usize> = [Vec<u8>; N];

/// Files, and what they held when last looked at.
#[derive(Debug)]
pub(super) struct Watched<const N: usize> {
    paths: [PathBuf; N],
    last: Result<Contents<N>, String>,
}

impl<const N: usize> Watched<N> {
    pub(super) fn new(paths: [PathBuf; N]) -> Self {
        Self {
            paths,
            last: Err(String::new()),
        }
    }

    /// What the files hold.
    pub(super) fn read(&mut self) -> Result<Contents<N>, TlsError> {
        let read = self.contents();
        self.remember(&read);
        read
    }

    fn remember(&mut self, read: &Result<Contents<N>, TlsError>) {
        self.last = match read {
            Ok(contents) => Ok(contents.clone()),
            Err(error) => Err(error.to_string()),
        };
    }

    /// What the files hold, or that they cannot be read, once per change.
    pub(super) fn changed(&mut self) -> Result<Option<Contents<N>>, TlsError> {
        let read = self.contents();
        let same = match (&read, &self.last) {
            (Ok(contents), Ok(last)) => contents == last,
            (Err(error), Err(last)) => error.to_string() == *last,
            _ => false,
        };
        if same {
            return Ok(None);
        }
        self.remember(&read);
        read.map(Some)
    }

    fn contents(&self) -> Result<Contents<N>, TlsError> {
        let mut contents = [const { Vec::new() }; N];
        for (path, contents) in self.paths.iter().zip(&mut contents) {
            *contents = bounded(path).map_err(|error| TlsError::Read {
                path: path.clone(),
                error,
            })?;
        }
        Ok(contents)
    }
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut contents)?;
    if contents.len() as u64 > LONGEST {
        let error = format!("it is longer than {LONGEST} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(contents)
}
