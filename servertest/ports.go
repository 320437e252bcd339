package servertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Ports are taken from below the range in which the usual systems pick ports for outgoing connections and for port 0, so that none of
// those takes the port of a server that is down for a restart.
const (
	firstPort = 10240
	lastPort  = 32000
)

// reservePorts finds n free ports of this machine and keeps other tests, of this process and of others, from finding them too until
// they are released.
func reservePorts(n int) (ports []int, release func(), err error) {
	var locks []*os.File
	release = func() {
		for _, f := range locks {
			f.Close()
		}
	}
	dir, err := locksFolder()
	if err != nil {
		return nil, nil, err
	}
	for range 50 * n {
		if len(ports) == n {
			return ports, release, nil
		}
		p := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // nobody gains by guessing it
		f, err := lockFile(filepath.Join(dir, strconv.Itoa(p)))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			f.Close()
			continue
		}
		l.Close()
		locks = append(locks, f)
		ports = append(ports, p)
	}
	release()
	return nil, nil, errors.New("no free ports")
}

// locksFolder is where the tests of a machine, whoever runs them, agree on who has what.
func locksFolder() (string, error) {
	dir := filepath.Join(os.TempDir(), "postern-locks")
	if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // for other users' tests
		return "", err
	}
	_ = os.Chmod(dir, 0o777) //nolint:gosec // whatever our umask is; it fails where another user made it, who did the same
	return dir, nil
}

// lock waits for a lock that all tests of this machine know by its name.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	dir, err := locksFolder()
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := lockFile(filepath.Join(dir, name))
		if err == nil {
			return func() { f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", name, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}
