package servertest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestReservePorts(t *testing.T) {
	seen := make(map[int]bool)
	for range 5 {
		ports, release, err := reservePorts(10)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		for _, p := range ports {
			if seen[p] {
				t.Errorf("port %d was given out twice", p)
			}
			seen[p] = true
		}
	}
}

func TestReservePortsReleases(t *testing.T) {
	ports, release, err := reservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := locksFolder()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, strconv.Itoa(ports[0]))
	if f, err := lockFile(name); err == nil {
		f.Close()
		t.Error("nothing keeps the port")
	}
	release()
	f, err := lockFile(name)
	if err != nil {
		t.Fatalf("the port is not given back: %v", err)
	}
	f.Close()
}

func TestLock(t *testing.T) {
	unlock, err := lock(t.Context(), "test-lock")
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		unlock, err := lock(t.Context(), "test-lock")
		if err == nil {
			unlock()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("two hold the lock, or %v", err)
	default:
	}
	unlock()
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	cases := []struct {
		name, text string
		n          int
		want       string
	}{
		{"short", "one\ntwo\n", 100, "one\ntwo\n"},
		{"exact", "one\n", 4, "one\n"},
		{"cut at a line", "one\ntwo\nthree\n", 8, "...\nthree\n"},
		{"one long line", "abcdefgh", 4, "...\nefgh"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := tail(c.text, c.n); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	c := newConfig([]Option{WithAccount("romeo", "juliet"), WithoutArchive(), WithConflict(KickOld)})
	env := c.environment()
	for name, want := range map[string]string{
		"XMPP_HOST":     "xmpp.test",
		"XMPP_ACCOUNTS": "admin=admin romeo=juliet test=test user2=user2",
		"XMPP_ARCHIVE":  "off",
		"XMPP_CONFLICT": "kick_old",
	} {
		if env[name] != want {
			t.Errorf("%s: got %q, want %q", name, env[name], want)
		}
	}
}

func TestExtraGoesToItsServer(t *testing.T) {
	c := newConfig([]Option{WithProsodyConfig("a = 1"), WithEjabberdConfig("b: 1"), WithProsodyConfig("c = 2")})
	if got, want := c.extra(KindProsody), "a = 1\nc = 2\n"; got != want {
		t.Errorf("prosody: got %q, want %q", got, want)
	}
	if got, want := c.extra(KindEjabberd), "b: 1\n"; got != want {
		t.Errorf("ejabberd: got %q, want %q", got, want)
	}
}

func TestBuildContext(t *testing.T) {
	names := make(map[string]bool)
	for _, image := range images() {
		archive, name, err := buildContext(image)
		if err != nil {
			t.Fatal(err)
		}
		if names[name] {
			t.Errorf("%s: the name %s is taken", image, name)
		}
		names[name] = true
		var files []string
		r := tar.NewReader(bytes.NewReader(archive))
		for {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, h.Name)
		}
		all := strings.Join(files, " ")
		if !strings.Contains(all, image+"/Dockerfile") {
			t.Errorf("%s: got %s", image, all)
		}
	}
}

func TestFollow(t *testing.T) {
	cases := []struct {
		name, stream, said, err string
	}{
		{"all well", `{"stream":"Step 1\n"}{"stream":"done\n"}`, "Step 1\ndone\n", ""},
		{"a step fails", `{"stream":"Step 1\n"}{"errorDetail":{"code":1},"error":"it broke"}`, "Step 1\n", "it broke"},
		{"cut off", `{"stream":"Step 1\n"}{"str`, "Step 1\n", "unexpected EOF"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			said, err := follow(strings.NewReader(c.stream))
			if said != c.said {
				t.Errorf("said %q, want %q", said, c.said)
			}
			if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}
