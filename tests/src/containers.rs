//! Real containers: a containerd of our own, apart from any other, and images
//! made by hand, since nothing can be pulled.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::wait;

/// A containerd. Killed, its containers before it, when dropped.
#[derive(Debug)]
pub struct Containerd {
    dir: TempDir,
    child: Child,
}

impl Containerd {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        // Short, since the paths of Unix sockets are.
        let dir = TempDir::with_prefix_in("ctd", "/tmp").expect("a directory for containerd");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {root:?}\nstate = {state:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = {socket:?}\n[ttrpc]\n  address = {ttrpc:?}\n",
            root = path("root"),
            state = path("state"),
            socket = path("c.sock"),
            ttrpc = path("t.sock"),
        );
        fs::write(dir.path().join("config.toml"), config).expect("containerd's configuration");
        let log = File::create(dir.path().join("log")).expect("containerd's log");
        let child = Command::new("containerd")
            .arg("--config")
            .arg(dir.path().join("config.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("containerd's log"))
            .stderr(log)
            .spawn()
            .expect("containerd; run cargo xtask test, which installs it");
        let this = Self { dir, child };
        let answers = wait::comes_true(Duration::from_secs(30), || this.try_ctr(&["version"]));
        assert!(answers, "containerd does not answer:\n{}", this.log());
        this
    }

    /// Makes an image whose one layer holds `/app` and a file that tells
    /// images apart.
    pub fn image(&self, name: &str, app: &Path) -> String {
        let work = self.dir.path().join(name);
        let layer = work.join("layer");
        fs::create_dir_all(&layer).expect("the layer's directory");
        fs::copy(app, layer.join("app")).unwrap_or_else(|e| panic!("{}: {e}", app.display()));
        fs::write(layer.join("name"), name).expect("the layer's other file");
        run(Command::new("tar")
            .arg("-C")
            .arg(&layer)
            .args(["-cf"])
            .arg(work.join("layer.tar"))
            .arg("."));
        let sum = run(Command::new("sha256sum").arg(work.join("layer.tar")));
        let digest = sum.split_whitespace().next().expect("a checksum");
        let reference = format!("docker.io/observer-test/{name}:1");
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "amd64",
        };
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Entrypoint": ["/app"]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        });
        let manifest =
            json!([{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]);
        fs::write(work.join("config.json"), config.to_string()).expect("the image's configuration");
        fs::write(work.join("manifest.json"), manifest.to_string()).expect("the image's manifest");
        let tar = self.dir.path().join(format!("{name}.tar"));
        run(Command::new("tar")
            .arg("-C")
            .arg(&work)
            .arg("-cf")
            .arg(&tar)
            .args(["config.json", "manifest.json", "layer.tar"]));
        run(self
            .ctr()
            .args(["images", "import", "--snapshotter", "overlayfs"])
            .arg(&tar));
        reference
    }

    /// The command that runs a container in the foreground, in the cgroup that
    /// a kubelet with the cgroupfs driver would give it.
    pub fn run(&self, image: &str, id: &str, pod_uid: &str) -> Command {
        let mut command = self.ctr();
        command.args(["run", "--rm", "--snapshotter", "overlayfs", "--cgroup"]);
        command.arg(format!(
            "/{}/kubepods/besteffort/pod{pod_uid}/{id}",
            self.cgroup()
        ));
        command.args([image, id]);
        command
    }

    /// Runs a program in a container that runs, to its end.
    pub fn exec(&self, id: &str, name: &str, program: &[&str]) -> String {
        let mut command = self.ctr();
        command.args(["tasks", "exec", "--exec-id", name, id]);
        run(command.args(program).stdin(Stdio::null()))
    }

    /// A cgroup of our own above the kubelet's, as a cluster inside a
    /// container has one.
    fn cgroup(&self) -> String {
        self.dir
            .path()
            .file_name()
            .expect("its name")
            .to_string_lossy()
            .into_owned()
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.socket());
        command
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("c.sock")
    }

    fn try_ctr(&self, args: &[&str]) -> bool {
        self.ctr()
            .args(args)
            .output()
            .is_ok_and(|o| o.status.success())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn containers(&self) -> Vec<String> {
        let list = self.ctr().args(["containers", "list", "--quiet"]).output();
        let text = list
            .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
            .unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("containerd's log:\n{}", self.log());
        }
        for id in self.containers() {
            self.try_ctr(&["tasks", "kill", "--signal", "KILL", &id]);
            wait::comes_true(Duration::from_secs(5), || {
                self.try_ctr(&["tasks", "delete", &id]);
                self.try_ctr(&["containers", "delete", &id])
            });
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // runc takes away a container's cgroup, not those above it.
        let hierarchies = fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten();
        for top in hierarchies
            .map(|h| h.path())
            .chain([PathBuf::from("/sys/fs/cgroup")])
        {
            remove_cgroups(&top.join(self.cgroup()));
        }
    }
}

fn remove_cgroups(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
