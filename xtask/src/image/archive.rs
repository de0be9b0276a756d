//! An image of one program, as an OCI archive: for one architecture, or for several
//! under one name.
//!
//! The same program gives the same bytes: no time of day, no user and no order
//! of a hash map gets in.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use oci_spec::image::{
    ConfigBuilder, Descriptor, DescriptorBuilder, Digest, HistoryBuilder,
    ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType,
    OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::arch::Arch;

/// An image without anything in it but one static program.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    /// As one writes it in a manifest, for example `go-observer/observer:0.1.0`.
    pub(crate) name: &'a str,
    /// The program's name, in the root directory.
    pub(crate) program: &'a str,
    /// The program for each architecture; whoever runs the image gets the machine's own.
    pub(crate) builds: &'a [(Arch, &'a [u8])],
    /// Arguments it is started with unless others are given.
    pub(crate) arguments: &'a [&'a str],
    pub(crate) labels: &'a [(&'a str, &'a str)],
}

/// Neither root nor a user of any distribution.
const USER: &str = "65532:65532";
const EPOCH: &str = "1970-01-01T00:00:00Z";
const NAME: &str = "io.containerd.image.name";
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// One of the archive's content-addressed files.
struct Blob {
    digest: Digest,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Result<Self> {
        let digest = digest(&bytes)?;
        Ok(Self { digest, bytes })
    }

    /// Through a sorted map, since the library keeps labels in a hash map.
    fn json(text: &str) -> Result<Self> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        Self::new(serde_json::to_vec(&value)?)
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest.digest())
    }

    fn descriptor(&self, media_type: MediaType) -> DescriptorBuilder {
        DescriptorBuilder::default()
            .media_type(media_type)
            .digest(self.digest.clone())
            .size(self.bytes.len() as u64)
    }
}

fn digest(bytes: &[u8]) -> Result<Digest> {
    Ok(format!("sha256:{:x}", Sha256::digest(bytes)).parse()?)
}

impl Image<'_> {
    /// Writes the archive by renaming, so that nobody reads half of it.
    pub(crate) fn write(&self, path: &Path) -> Result<u64> {
        let bytes = self.archive()?;
        let mut part = PathBuf::from(path).into_os_string();
        part.push(".part");
        fs::write(&part, &bytes)
            .and_then(|()| fs::rename(&part, path))
            .with_context(|| format!("cannot write the image {}", path.display()))?;
        Ok(bytes.len() as u64)
    }

    fn archive(&self) -> Result<Vec<u8>> {
        let mut blobs = Vec::new();
        let mut manifests = Vec::new();
        let mut docker = Vec::new();
        for (arch, contents) in self.builds {
            let layer = self.layer(contents)?;
            let diff_id = digest(&layer)?;
            let layer = Blob::new(compressed(&layer)?)?;
            let config = self.config(*arch, &diff_id)?;
            let manifest = manifest(&config, &layer)?;
            manifests.push(of_platform(&manifest, *arch)?);
            docker.push(json!({
                "Config": config.path(),
                "Layers": [layer.path()],
                "RepoTags": [self.name],
            }));
            blobs.extend([layer, config, manifest]);
        }
        // One manifest is the image. Of several an index is, since a name stands once.
        let index = match manifests.as_slice() {
            [one] => index(&[self.named(one)])?,
            several => {
                let both = index(several)?;
                let named = self.named(&both.descriptor(MediaType::ImageIndex).build()?);
                blobs.push(both);
                index(&[named])?
            }
        };
        let layout = OciLayoutBuilder::default()
            .image_layout_version("1.0.0")
            .build()?;
        let mut tar = tar::Builder::new(Vec::new());
        add(
            &mut tar,
            "oci-layout",
            0o644,
            layout.to_string()?.as_bytes(),
        )?;
        for blob in &blobs {
            add(&mut tar, &blob.path(), 0o644, &blob.bytes)?;
        }
        // For `docker load` before 25, which knows no OCI layout. It has no word for
        // architectures, and would take the last one.
        if let [docker] = docker.as_slice() {
            let docker = json!([docker]).to_string();
            add(&mut tar, "manifest.json", 0o644, docker.as_bytes())?;
        }
        add(&mut tar, "index.json", 0o644, &index.bytes)?;
        Ok(tar.into_inner()?)
    }

    fn layer(&self, contents: &[u8]) -> Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        add(&mut tar, self.program, 0o555, contents)?;
        Ok(tar.into_inner()?)
    }

    fn config(&self, arch: Arch, diff_id: &Digest) -> Result<Blob> {
        let labels: HashMap<String, String> = self
            .labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut config = ConfigBuilder::default()
            .user(USER)
            .entrypoint([format!("/{}", self.program)])
            .working_dir("/")
            .labels(labels);
        if !self.arguments.is_empty() {
            let arguments = self.arguments.iter().map(|word| (*word).to_owned());
            config = config.cmd(arguments.collect::<Vec<_>>());
        }
        let history = HistoryBuilder::default()
            .created(EPOCH)
            .created_by(format!("cargo xtask image: /{}", self.program))
            .build()?;
        let rootfs = RootFsBuilder::default()
            .typ("layers")
            .diff_ids([diff_id.to_string()])
            .build()?;
        Blob::json(
            &ImageConfigurationBuilder::default()
                .created(EPOCH)
                .architecture(arch.in_image())
                .os(Os::Linux)
                .config(config.build()?)
                .rootfs(rootfs)
                .history([history])
                .build()?
                .to_string()?,
        )
    }

    /// A descriptor under the image's name, which is the whole reference: what a kubelet
    /// makes of the short name.
    fn named(&self, descriptor: &Descriptor) -> Descriptor {
        let annotations = [
            (NAME, format!("docker.io/{}", self.name)),
            (REFERENCE, self.name.to_owned()),
        ];
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value));
        let mut named = descriptor.clone();
        named.set_annotations(Some(HashMap::from(annotations)));
        named
    }
}

/// A manifest's descriptor, with the machines that it is for.
fn of_platform(manifest: &Blob, arch: Arch) -> Result<Descriptor> {
    let platform = PlatformBuilder::default()
        .architecture(arch.in_image())
        .os(Os::Linux)
        .build()?;
    let descriptor = manifest.descriptor(MediaType::ImageManifest);
    Ok(descriptor.platform(platform).build()?)
}

fn index(manifests: &[Descriptor]) -> Result<Blob> {
    Blob::json(
        &ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .build()?
            .to_string()?,
    )
}

fn manifest(config: &Blob, layer: &Blob) -> Result<Blob> {
    Blob::json(
        &ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor(MediaType::ImageConfig).build()?)
            .layers([layer.descriptor(MediaType::ImageLayerGzip).build()?])
            .build()?
            .to_string()?,
    )
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}

/// A file of root's, from the epoch.
fn add(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(contents.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, contents)
        .with_context(|| format!("cannot put {path} into the archive"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read as _};

    use flate2::read::GzDecoder;
    use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};
    use sha2::{Digest as _, Sha256};

    use super::{Arch, Image};

    const CONTENTS: &[u8] = b"\x7fELF and more";
    const IMAGE: Image<'_> = Image {
        name: "go-observer/observer:1.2.3",
        program: "observer",
        builds: &[(Arch::Arm64, CONTENTS)],
        arguments: &[],
        labels: &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")],
    };

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut tar = tar::Archive::new(archive);
        tar.entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut contents = Vec::new();
                entry.read_to_end(&mut contents).unwrap();
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                (path, contents)
            })
            .collect()
    }

    #[test]
    fn every_blob_is_what_its_name_says_and_the_chain_leads_to_the_program() {
        let files = files(&IMAGE.archive().unwrap());
        for (path, contents) in &files {
            if let Some(name) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(format!("{:x}", Sha256::digest(contents)), name);
            }
        }
        let blob = |digest: &oci_spec::image::Digest| {
            files[&format!("blobs/sha256/{}", digest.digest())].as_slice()
        };
        let index = ImageIndex::from_reader(files["index.json"].as_slice()).unwrap();
        let [entry] = index.manifests().as_slice() else {
            panic!("one manifest expected: {index:?}");
        };
        let annotations = entry.annotations().as_ref().unwrap();
        assert_eq!(
            annotations[super::NAME],
            "docker.io/go-observer/observer:1.2.3"
        );
        let manifest = ImageManifest::from_reader(blob(entry.digest())).unwrap();
        let config = ImageConfiguration::from_reader(blob(manifest.config().digest())).unwrap();
        assert_eq!(config.architecture().to_string(), "arm64");
        let run = config.config().as_ref().unwrap();
        assert_eq!(run.entrypoint().as_ref().unwrap(), &["/observer"]);
        assert_eq!(run.user().as_deref(), Some("65532:65532"));

        let [layer] = manifest.layers().as_slice() else {
            panic!("one layer expected: {manifest:?}");
        };
        let mut tar = Vec::new();
        GzDecoder::new(blob(layer.digest()))
            .read_to_end(&mut tar)
            .unwrap();
        assert_eq!(
            config.rootfs().diff_ids(),
            &[format!("sha256:{:x}", Sha256::digest(&tar))]
        );
        let mut archive = tar::Archive::new(tar.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o555);
        assert_eq!(self::files(&tar)["observer"], CONTENTS);
    }

    #[test]
    fn the_same_program_gives_the_same_bytes() {
        let first = IMAGE.archive().unwrap();
        for _ in 0..8 {
            assert!(first == IMAGE.archive().unwrap(), "archives differ");
        }
    }

    #[test]
    fn one_name_stands_for_both_architectures() {
        let image = Image {
            builds: &[
                (Arch::Amd64, b"one".as_slice()),
                (Arch::Arm64, b"the other".as_slice()),
            ],
            ..IMAGE
        };
        let files = files(&image.archive().unwrap());
        let blob = |digest: &oci_spec::image::Digest| {
            files[&format!("blobs/sha256/{}", digest.digest())].as_slice()
        };
        let outer = ImageIndex::from_reader(files["index.json"].as_slice()).unwrap();
        let [entry] = outer.manifests().as_slice() else {
            panic!("one index expected: {outer:?}");
        };
        let annotations = entry.annotations().as_ref().unwrap();
        assert_eq!(
            annotations[super::NAME],
            "docker.io/go-observer/observer:1.2.3"
        );
        let both = ImageIndex::from_reader(blob(entry.digest())).unwrap();
        let arches = both.manifests().iter().map(|manifest| {
            let said = manifest.platform().as_ref().unwrap().architecture();
            let manifest = ImageManifest::from_reader(blob(manifest.digest())).unwrap();
            let config = blob(manifest.config().digest());
            let config = ImageConfiguration::from_reader(config).unwrap();
            assert_eq!(config.architecture(), said);
            said.to_string()
        });
        assert_eq!(arches.collect::<Vec<_>>(), ["amd64", "arm64"]);
        assert!(!files.contains_key("manifest.json"));
    }
}
