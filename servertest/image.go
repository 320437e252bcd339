package servertest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/postern-im/postern/docker"
)

// baseImage is what all images are built on; baseSuite is its Debian.
const (
	baseImage = "debian:trixie-slim"
	baseSuite = "trixie"
)

// Time limits of what a first run has to do.
const (
	pullTimeout = 3 * time.Minute
	makeTimeout = 10 * time.Minute
)

// ensureImage builds the image from its folder of package docker, unless it was built before from the same files, and returns its name.
// Steps are told to progress.
func ensureImage(ctx context.Context, engine client.APIClient, image string, progress io.Writer) (string, error) {
	archive, name, err := buildContext(image)
	if err != nil {
		return "", err
	}
	if _, err := engine.ImageInspect(ctx, name); err == nil {
		return name, nil
	}
	// Test binaries run side by side; the first one builds.
	unlock, err := lock(ctx, "images")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := engine.ImageInspect(ctx, name); err == nil {
		return name, nil
	}
	ctx, cancel := context.WithTimeout(ctx, makeTimeout)
	defer cancel()
	if err := ensureBase(ctx, engine, progress); err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "building the image %s\n", name)
	built, err := engine.ImageBuild(ctx, bytes.NewReader(archive), client.ImageBuildOptions{
		Dockerfile: image + "/Dockerfile", Tags: []string{name}, Remove: true, ForceRemove: true,
	})
	if err != nil {
		return "", fmt.Errorf("build the image %s: %w", image, err)
	}
	defer built.Body.Close()
	if said, err := follow(built.Body); err != nil {
		return "", fmt.Errorf("build the image %s: %w\n%s", image, err, tail(said, 4096))
	}
	return name, nil
}

// buildContext packs the files of an image; their hash is the image's tag.
func buildContext(image string) (archive []byte, name string, err error) {
	files, err := contextFiles(image)
	if err != nil {
		return nil, "", err
	}
	var packed bytes.Buffer
	w, hash := tar.NewWriter(&packed), sha256.New()
	for _, file := range files {
		data, err := fs.ReadFile(docker.Files, file)
		if err != nil {
			return nil, "", err
		}
		// Embedded files have lost their modes; that of a script does no harm to the others.
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return nil, "", err
		}
		if _, err := w.Write(data); err != nil {
			return nil, "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", file, len(data), data)
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), "postern-servertest/" + image + ":" + hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// ensureBase pulls the base image, or makes it from Debian's packages where no registry is in reach.
func ensureBase(ctx context.Context, engine client.APIClient, progress io.Writer) error {
	if _, err := engine.ImageInspect(ctx, baseImage); err == nil {
		return nil
	}
	fmt.Fprintf(progress, "pulling %s\n", baseImage)
	pullError := pull(ctx, engine, baseImage)
	if pullError == nil {
		return nil
	}
	fmt.Fprintf(progress, "%v\nmaking %s from Debian's packages, which takes a minute or two\n", pullError, baseImage)
	if err := importBase(ctx, engine); err != nil {
		return fmt.Errorf("%w: %s can neither be pulled (%w) nor made (%w)", ErrNoServers, baseImage, pullError, err)
	}
	return nil
}

func pull(ctx context.Context, engine client.APIClient, image string) error {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	answer, err := engine.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = follow(answer)
	return err
}

// importBase runs the script that writes Debian's file system, and hands it to the engine.
func importBase(ctx context.Context, engine client.APIClient) error {
	script, err := fs.ReadFile(docker.Files, "base/rootfs.sh")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "postern-base-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	rootfs, err := os.Create(filepath.Join(folder, "rootfs.tar"))
	if err != nil {
		return err
	}
	defer rootfs.Close()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-s", baseSuite)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(script), rootfs, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(tail(said.String(), 2048)))
	}
	if _, err := rootfs.Seek(0, io.SeekStart); err != nil {
		return err
	}
	answer, err := engine.ImageImport(ctx, client.ImageImportSource{Source: rootfs, SourceName: "-"}, baseImage,
		client.ImageImportOptions{Changes: []string{`CMD ["bash"]`}})
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = follow(answer)
	return err
}

// follow reads the engine's progress messages, one JSON object each, and returns their text and the error among them.
func follow(r io.Reader) (said string, err error) {
	var text strings.Builder
	d := json.NewDecoder(bufio.NewReader(r))
	for {
		var message struct {
			Stream string `json:"stream"`
			Error  string `json:"error"`
		}
		if err := d.Decode(&message); errors.Is(err, io.EOF) {
			return text.String(), nil
		} else if err != nil {
			return text.String(), err
		}
		text.WriteString(message.Stream)
		if message.Error != "" {
			return text.String(), errors.New(message.Error)
		}
	}
}
