package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/postern-im/postern/docker"
)

// ErrNoServers says that there is nothing to run servers with, and what to do about it.
var ErrNoServers = errors.New("no way to run real servers: start a container engine (Docker or Podman), " +
	"or be root on Debian 12 or newer and run `make servers`")

// Environment variables that steer this package.
const (
	envBackend = "POSTERN_SERVERS"     // containers, processes or auto
	envLog     = "POSTERN_SERVERS_LOG" // debug or info
)

// backend makes boxes of one sort.
type backend interface {
	// host is the address at which the servers' ports are reached.
	host() string
	// listen is the address that the servers bind, as seen from where they run.
	listen() string
	// prepare makes ready what the image's server runs in, and tells its steps.
	prepare(ctx context.Context, image string, progress io.Writer) error
	// box makes what the machine is to run in.
	box(ctx context.Context, m *machine, ports []int) (box, error)
	// close ends a backend that has made no box; else removing the box does.
	close()
}

// chooseBackend follows POSTERN_SERVERS; by default it takes containers where an engine answers.
func chooseBackend(ctx context.Context) (backend, error) {
	switch choice := os.Getenv(envBackend); choice {
	case "containers":
		return newContainers(ctx)
	case "processes":
		return newProcesses()
	case "", "auto":
		if b, err := newContainers(ctx); err == nil {
			return b, nil
		}
		return newProcesses()
	default:
		return nil, fmt.Errorf("%s=%s: want containers, processes or auto", envBackend, choice)
	}
}

// logLevel is what the servers write to their logs.
func logLevel() string {
	if os.Getenv(envLog) == "debug" {
		return "debug"
	}
	return "info"
}

// contextFiles lists the files that an image is made from, as paths in [docker.Files]: its folder, and what the XMPP servers share.
func contextFiles(image string) ([]string, error) {
	var files []string
	if image == string(KindProsody) || image == string(KindEjabberd) {
		files = append(files, "certificates.sh", "healthy.sh")
	}
	entries, err := fs.ReadDir(docker.Files, image)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		files = append(files, image+"/"+e.Name())
	}
	return files, nil
}
