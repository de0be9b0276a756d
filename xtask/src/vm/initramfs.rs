//! The guest's files, as the archive that a kernel unpacks into its memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use cpio::newc::{self, ModeFileType};

use super::results::{BEGIN, END};
use crate::workspace::Workspace;

const SHELL: &str = "/bin/busybox";

/// Files by their paths in the guest.
#[derive(Debug, Default)]
pub(crate) struct Files {
    files: BTreeMap<String, Content>,
}

#[derive(Debug)]
enum Content {
    Of(PathBuf),
    Text(String),
}

impl Files {
    /// What every guest has: a shell, and what it does first.
    pub(crate) fn new(shell: &Path, results: &str) -> Result<Self> {
        let mut files = Self::default();
        files.add(SHELL, shell)?;
        files.text("/init", init(results));
        Ok(files)
    }

    /// A file of this machine.
    pub(crate) fn add(&mut self, path: &str, from: &Path) -> Result<()> {
        ensure!(from.is_file(), "{} is not there or no file", from.display());
        self.files
            .insert(path.to_owned(), Content::Of(from.to_path_buf()));
        Ok(())
    }

    /// The shared libraries that a file of this machine needs, and the loader.
    pub(crate) fn add_libraries(&mut self, workspace: &Workspace, of: &Path) {
        // Says of a static program that it is none with libraries, and fails.
        let output = workspace.command("ldd").arg(of).output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        for library in libraries(&said.unwrap_or_default()) {
            let content = Content::Of(PathBuf::from(&library));
            self.files.insert(library, content);
        }
    }

    pub(crate) fn text(&mut self, path: &str, text: String) {
        self.files.insert(path.to_owned(), Content::Text(text));
    }

    /// Writes an archive of them.
    pub(crate) fn write(&self, to: &Path) -> Result<()> {
        let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
        self.archive(file, to)
    }

    /// Writes one behind another archive: the kernel unpacks both.
    pub(crate) fn append(&self, to: &Path) -> Result<()> {
        let file = File::options()
            .append(true)
            .open(to)
            .with_context(|| format!("cannot write {}", to.display()))?;
        self.archive(file, to)
    }

    fn archive(&self, file: File, to: &Path) -> Result<()> {
        let mut archive = Archive {
            out: BufWriter::new(file),
            entries: 0,
        };
        for directory in directories(self.files.keys()) {
            archive.entry(
                &directory,
                ModeFileType::Directory,
                0o755,
                &mut io::empty(),
                0,
            )?;
        }
        for (path, content) in &self.files {
            archive
                .add(path, content)
                .with_context(|| format!("cannot add {path} to {}", to.display()))?;
        }
        let mut out = newc::trailer(archive.out)?;
        out.flush()?;
        Ok(())
    }
}

struct Archive<W: Write> {
    out: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, path: &str, content: &Content) -> Result<()> {
        match content {
            Content::Text(text) => {
                let size = text.len() as u64;
                self.entry(
                    path,
                    ModeFileType::Regular,
                    0o755,
                    &mut text.as_bytes(),
                    size,
                )
            }
            Content::Of(from) => {
                let mut file =
                    File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
                let meta = file.metadata()?;
                let mode = meta.permissions().mode() & 0o777;
                self.entry(path, ModeFileType::Regular, mode, &mut file, meta.len())
            }
        }
    }

    fn entry(
        &mut self,
        path: &str,
        kind: ModeFileType,
        mode: u32,
        from: &mut dyn io::Read,
        size: u64,
    ) -> Result<()> {
        // Entries of one number would be taken for links to one file.
        self.entries += 1;
        let mut writer = newc::Builder::new(path.trim_start_matches('/'))
            .ino(self.entries)
            .nlink(1)
            .mode(mode)
            .set_mode_file_type(kind)
            .write(
                &mut self.out,
                u32::try_from(size).context("larger than 4 GiB")?,
            );
        io::copy(from, &mut writer)?;
        writer.finish()?;
        Ok(())
    }
}

/// All directories above some paths, the upper before the lower.
fn directories<'a>(paths: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    paths
        .flat_map(|path| Path::new(path).ancestors().skip(1))
        .map(|directory| directory.to_string_lossy().into_owned())
        .filter(|directory| directory != "/")
        .collect()
}

/// Paths of libraries and of the loader in what `ldd` says.
fn libraries(said: &str) -> Vec<String> {
    said.lines()
        .filter_map(|line| {
            let line = line.trim();
            let path = line.split_once("=> ").map_or(line, |(_, path)| path);
            path.strip_suffix(')')?
                .rsplit_once(" (")
                .map(|(path, _)| path)
        })
        .filter(|path| path.starts_with('/') && fs::metadata(path).is_ok())
        .map(str::to_owned)
        .collect()
}

/// The guest's first process.
fn init(results: &str) -> String {
    format!(
        "#!{SHELL} sh
{SHELL} mkdir -p /bin /sbin /proc /sys /dev /tmp /run /etc
{SHELL} --install -s /bin
export PATH=/bin:/sbin HOME=/tmp
export OBSERVER_BIN=/observer OBSERVER_FIXTURES=/fixtures OBSERVER_PATIENCE=4
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tracefs trace /sys/kernel/tracing
mount -t securityfs security /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ifconfig lo 127.0.0.1 up
stty raw -F /dev/{results}
echo {BEGIN} >/dev/{results}
sh /run.sh >/dev/{results} 2>&1 </dev/null
printf '\\n{END}%d\\n' $? >/dev/{results}
poweroff -f
"
    )
}

#[cfg(test)]
mod tests {
    use super::{Content, Files, directories, init, libraries};

    #[test]
    fn what_is_written_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("archive");
        let file = directory.path().join("file");
        std::fs::write(&file, "of this machine").unwrap();
        let mut files = Files::default();
        files.text("/bin/x/script", "echo".into());
        files.files.insert("/one".into(), Content::Of(file.clone()));
        files.write(&path).unwrap();
        let mut data = std::fs::File::open(&path).unwrap();
        let mut found = Vec::new();
        let mut numbers = std::collections::BTreeSet::new();
        loop {
            let mut reader = cpio::NewcReader::new(data).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let name = reader.entry().name().to_owned();
            let kind = reader.entry().mode() & 0o170000;
            assert!(numbers.insert(reader.entry().ino()), "{name}");
            let mut text = String::new();
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
            found.push((name, kind, text));
            data = reader.finish().unwrap();
        }
        let expected = [
            ("bin", 0o040000, ""),
            ("bin/x", 0o040000, ""),
            ("bin/x/script", 0o100000, "echo"),
            ("one", 0o100000, "of this machine"),
        ];
        let expected = expected.map(|(name, kind, text)| (name.into(), kind, text.into()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_directory_comes_before_what_is_in_it() {
        let paths = ["/usr/lib/a.so".to_owned(), "/usr/bin".to_owned()];
        let all: Vec<_> = directories(paths.iter()).into_iter().collect();
        assert_eq!(all, ["/usr", "/usr/lib"]);
    }

    #[test]
    fn libraries_are_those_with_a_path() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibnone.so => not found\n\
                    \t/proc/self/exe (0x00007f)\n\tself => /proc/self/exe (0x01)\n";
        assert_eq!(libraries(said), ["/proc/self/exe", "/proc/self/exe"]);
        assert!(libraries("\tnot a dynamic executable\n").is_empty());
    }

    #[test]
    fn the_first_process_tells_the_exit_code_last() {
        assert!(init("ttyS1").contains("printf '\\nVM-END %d\\n' $? >/dev/ttyS1\npoweroff -f\n"));
    }
}
