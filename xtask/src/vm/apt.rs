//! Kernels from packages, and a shell of another architecture, with lists of apt of our
//! own: nothing is installed, and the machine's own sources stay as they are.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::kernel::{Line, Package};
use crate::{arch::Arch, ui::Step, workspace::Workspace};

/// How old lists may be: mirrors keep only the latest versions.
const FRESH: Duration = Duration::from_secs(24 * 3600);

const DEBIAN: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const UBUNTU: &str = "/usr/share/keyrings/ubuntu-archive-keyring.gpg";

/// Archives with an architecture's kernels, and the keys that sign them: of each
/// distribution whose keys this machine has. Of another one's also those with a shell.
const fn archives(arch: Arch) -> [(&'static str, &'static str); 2] {
    match arch {
        Arch::Amd64 => [
            (
                DEBIAN,
                "http://deb.debian.org/debian-security bookworm-security,trixie-security\n\
                 http://deb.debian.org/debian trixie-backports",
            ),
            (
                UBUNTU,
                "http://archive.ubuntu.com/ubuntu jammy-updates,noble-updates",
            ),
        ],
        Arch::Arm64 => [
            (
                DEBIAN,
                "http://deb.debian.org/debian-security bookworm-security,trixie-security\n\
                 http://deb.debian.org/debian bookworm,trixie-backports",
            ),
            (
                UBUNTU,
                "http://ports.ubuntu.com/ubuntu-ports noble,noble-updates",
            ),
        ],
    }
}

/// Where an architecture's kernels and lists are kept.
pub(crate) struct Apt<'a> {
    workspace: &'a Workspace,
    arch: Arch,
    dir: PathBuf,
}

impl<'a> Apt<'a> {
    pub(crate) fn new(workspace: &'a Workspace, arch: Arch) -> Self {
        let dir = workspace.cache.join("kernels").join(arch.name());
        Self {
            workspace,
            arch,
            dir,
        }
    }

    /// The newest of a line: by the lists, or what is in the cache where there
    /// are none.
    pub(crate) fn newest(&self, line: &Line, names: &[String]) -> Option<Package> {
        line.newest(names.iter().map(String::as_str), self.arch)
    }

    /// Names of all kernels' packages. Where the mirror cannot be reached, the
    /// last lists serve, and at last what is in the cache.
    pub(crate) fn names(&self, step: &Step) -> Result<Vec<String>> {
        if !self.is_fresh() {
            step.note("apt-get update");
            if let Err(error) = self.update(step) {
                eprintln!("warning: kernels of the last lists are taken: {error:#}");
            }
        }
        let mut names = Vec::new();
        // Not there on a machine that has never reached the mirror.
        if self.dir.join("apt/lists").is_dir() {
            let mut command = self.command("apt-cache");
            let listed = step.output(command.args(["pkgnames", "linux-"]))?;
            names.extend(listed.lines().map(str::to_owned));
        }
        let cached = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        names.extend(
            cached
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| self.image(name).is_file()),
        );
        Ok(names)
    }

    fn is_fresh(&self) -> bool {
        let modified = fs::metadata(self.dir.join("updated")).and_then(|meta| meta.modified());
        modified.is_ok_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .is_ok_and(|age| age < FRESH)
        })
    }

    fn update(&self, step: &Step) -> Result<()> {
        let sources = sources(self.arch, |keys| Path::new(keys).is_file());
        ensure!(
            !sources.is_empty(),
            "no keys of an archive with kernels: install debian-archive-keyring or ubuntu-keyring"
        );
        for dir in ["parts", "lists/partial", "archives/partial"] {
            let dir = self.dir.join("apt").join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        fs::write(self.dir.join("apt/parts/kernels.sources"), sources)?;
        let mut command = self.command("apt-get");
        // A list that cannot be had is an error: else apt-get only warns.
        command.args(["-q", "-o", "APT::Update::Error-Mode=any", "update"]);
        step.run(&mut command)?;
        fs::write(self.dir.join("updated"), "")?;
        Ok(())
    }

    /// A command of apt that knows nothing but what is in the cache.
    fn command(&self, program: &str) -> Command {
        let mut command = self.workspace.command(program);
        let apt = self.dir.join("apt");
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        for option in [
            option("Dir::Etc::SourceList", Path::new("/dev/null")),
            option("Dir::Etc::SourceParts", &apt.join("parts")),
            option("Dir::State::Lists", &apt.join("lists")),
            // What is installed here does not matter.
            option("Dir::State::status", Path::new("/dev/null")),
            option("Dir::Cache", &apt),
            option("Dir::Cache::archives", &apt.join("archives")),
            format!("APT::Architecture={}", self.arch.name()),
            format!("APT::Architectures={}", self.arch.name()),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            // Root's apt would download as a user who may not write here.
            "APT::Sandbox::User=root".into(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// Where a package's image is, once it is there.
    pub(crate) fn image(&self, package: &str) -> PathBuf {
        self.dir.join(package).join("vmlinuz")
    }

    /// The image of a package's kernel, fetched unless it is in the cache.
    pub(crate) fn fetch(&self, step: &Step, package: &Package) -> Result<PathBuf> {
        let image = self.image(&package.name);
        if !image.is_file() {
            self.bring(step, &package.name, &image, is_image)?;
            self.forget_older(package)?;
        }
        Ok(image)
    }

    /// A static shell of this architecture, fetched unless it is in the cache.
    pub(crate) fn shell(&self, step: &Step) -> Result<PathBuf> {
        let package = "busybox-static";
        let shell = self.dir.join(package).join("busybox");
        if !shell.is_file() {
            let is_shell = |path: &Path| path.ends_with("bin/busybox");
            self.bring(step, package, &shell, is_shell)?;
        }
        Ok(shell)
    }

    /// Fetches a package and keeps one of its files.
    fn bring(
        &self,
        step: &Step,
        package: &str,
        to: &Path,
        wanted: impl Fn(&Path) -> bool,
    ) -> Result<()> {
        step.note(format!("fetching {package}"));
        let archives = self.dir.join("apt/archives");
        let mut command = self.command("apt-get");
        command
            .args(["-q", "download", package])
            .current_dir(&archives);
        step.run(&mut command)?;
        let prefix = format!("{package}_");
        let archive = fs::read_dir(&archives)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            })
            .with_context(|| format!("apt-get left no {prefix}*.deb in {}", archives.display()))?;
        self.unpack(&archive, to, wanted)
            .with_context(|| format!("cannot unpack {}", archive.display()))?;
        fs::remove_file(&archive)?;
        Ok(())
    }

    fn unpack(&self, archive: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
        let mut child = self
            .workspace
            .command("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(archive)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start dpkg-deb")?;
        let mut output = child.stdout.take().context("dpkg-deb has no output")?;
        let found = extract(&mut output, to, wanted);
        // It complains where what comes after the file finds no reader.
        io::copy(&mut output, &mut io::sink())?;
        let status = child.wait().context("cannot wait for dpkg-deb")?;
        found?;
        ensure!(status.success(), "dpkg-deb ended with {status}");
        Ok(())
    }

    /// Removes older kernels of the same line.
    fn forget_older(&self, package: &Package) -> Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if package.is_newer_than(&name, self.arch) {
                fs::remove_dir_all(entry.path())
                    .with_context(|| format!("cannot remove {}", entry.path().display()))?;
            }
        }
        Ok(())
    }
}

/// The sources whose keys are there, as apt reads them.
fn sources(arch: Arch, has: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for (keys, archives) in archives(arch).iter().filter(|(keys, _)| has(keys)) {
        for (place, suites) in archives.lines().filter_map(|line| line.split_once(' ')) {
            let suites = suites.replace(',', " ");
            let _ = write!(
                text,
                "Types: deb\nURIs: {place}\nSuites: {suites}\nComponents: main\n\
                 Architectures: {}\nSigned-By: {keys}\n\n",
                arch.name()
            );
        }
    }
    text
}

/// Whether a file is a kernel's image, wherever it lies.
fn is_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("vmlinuz")
}

/// Writes the first wanted file of a tar to a file.
fn extract(tar: impl Read, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
    let mut tar = tar::Archive::new(tar);
    for entry in tar.entries()? {
        let mut entry = entry?;
        if !wanted(&entry.path()?) || !entry.header().entry_type().is_file() {
            continue;
        }
        let directory = to.parent().context("the file has no directory")?;
        fs::create_dir_all(directory)?;
        let part = to.with_extension(format!("{}.part", std::process::id()));
        io::copy(&mut entry, &mut File::create(&part)?)?;
        let mode = entry.header().mode()?;
        fs::set_permissions(&part, fs::Permissions::from_mode(mode & 0o777))?;
        fs::rename(&part, to)?;
        return Ok(());
    }
    bail!("what is wanted is not in it");
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::Path};

    use super::{extract, is_image, sources};
    use crate::arch::Arch;

    #[test]
    fn only_archives_with_keys_are_asked() {
        let debian = sources(Arch::Amd64, |keys| keys.contains("debian"));
        assert!(debian.contains("Suites: bookworm-security trixie-security\n"));
        assert!(!debian.contains("ubuntu"), "{debian}");
        assert_eq!(sources(Arch::Amd64, |_| false), "");
        let arm64 = sources(Arch::Arm64, |keys| keys.contains("debian"));
        assert!(arm64.contains("Suites: bookworm trixie-backports\n"));
        assert!(arm64.contains("Architectures: arm64\n"), "{arm64}");
    }

    #[test]
    fn the_wanted_file_is_taken_wherever_it_lies() {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in [
            ("./boot/config-6.1", "no"),
            ("./boot/vmlinuz-6.1", "yes"),
            ("./usr/bin/busybox", "a shell"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o755);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let data = tar.into_inner().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("package/vmlinuz");
        extract(data.as_slice(), &image, is_image).unwrap();
        assert_eq!(std::fs::read_to_string(image).unwrap(), "yes");
        let shell = directory.path().join("busybox");
        let is_shell = |path: &Path| path.ends_with("bin/busybox");
        extract(data.as_slice(), &shell, is_shell).unwrap();
        let mode = std::fs::metadata(&shell).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        let error = extract(&[0; 1024][..], directory.path(), is_image).unwrap_err();
        assert!(error.to_string().contains("not in it"), "{error}");
    }
}
