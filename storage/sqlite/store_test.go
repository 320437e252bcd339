package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/sqlite"
	"github.com/postern-im/postern/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a database that is closed at the test's end.
func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// files is the engine on files, each of which two stores open as two processes would.
func files() storagetest.Engine {
	paths := make(map[storage.Store]string)
	var template []byte // an empty, migrated database: copying it is quicker than making it
	return storagetest.Engine{
		New: func(t testing.TB) storage.Store {
			t.Helper()
			path := filepath.Join(t.TempDir(), "gateway 100%?#.db")
			var err error
			if template == nil {
				if err = open(t, path).Close(); err == nil {
					template, err = os.ReadFile(path)
				}
			} else {
				err = os.WriteFile(path, template, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			s := open(t, path)
			paths[s] = path
			return s
		},
		Again: func(t testing.TB, s storage.Store) storage.Store {
			t.Helper()
			return open(t, paths[s])
		},
	}
}

func memory() storagetest.Engine {
	return storagetest.Engine{New: func(t testing.TB) storage.Store {
		t.Helper()
		return open(t, sqlite.Memory)
	}}
}

func TestStore(t *testing.T)               { storagetest.Run(t, files()) }
func TestFLT11_Contention(t *testing.T)    { storagetest.Contention(t, files()) }
func TestFLT22_Replays(t *testing.T)       { storagetest.Replays(t, files()) }
func TestSEC68_HostileValues(t *testing.T) { storagetest.Hostile(t, files()) }

// In memory there is one connection for all. The rest is the same, so the slow runs of the race detector go without.
func TestInMemory(t *testing.T) {
	if !raceEnabled {
		storagetest.Contention(t, memory())
		storagetest.Run(t, memory())
	}
}
