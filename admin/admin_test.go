package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server on a free port and returns its URL.
func serve(t *testing.T, cfg Config) string {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() != nil {
		t.Errorf("address %v before Listen", s.Addr())
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + s.Addr().String()
}

func get(t *testing.T, url string, change ...func(*http.Request)) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestReadyFollowsChecks(t *testing.T) {
	var up atomic.Bool
	url := serve(t, Config{
		Info: map[string]string{"domain": "gateway.example.org"},
		Checks: []Check{
			{Name: "component", Ready: func() (bool, string) {
				if up.Load() {
					return true, "online"
				}
				return false, "backoff"
			}},
			{Name: "other", Ready: func() (bool, string) { return true, "" }},
		},
	})
	for _, want := range []struct {
		up   bool
		code int
		text string
	}{{false, 503, "backoff"}, {true, 200, "online"}, {false, 503, "backoff"}} {
		up.Store(want.up)
		code, body := get(t, url+"/readyz")
		if code != want.code {
			t.Errorf("up %v: status %d", want.up, code)
		}
		var st Status
		if err := json.Unmarshal([]byte(body), &st); err != nil {
			t.Fatal(err)
		}
		if st.Ready != want.up || len(st.Checks) != 2 || st.Checks[0].Reason != want.text || !st.Checks[1].Ready || st.Info["domain"] == "" {
			t.Errorf("up %v: %+v", want.up, st)
		}
		if code, _ := get(t, url+"/healthz"); code != 200 {
			t.Errorf("up %v: /healthz says %d", want.up, code)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "postern_test_total", Help: "For the test."})
	reg.MustRegister(c)
	c.Add(7)
	_, body := get(t, serve(t, Config{Metrics: reg})+"/metrics")
	if !strings.Contains(body, "postern_test_total 7") {
		t.Errorf("metrics:\n%s", body)
	}
}

func TestPathsAreThereWhenSwitchedOn(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, tt := range []struct {
		name  string
		cfg   Config
		codes map[string]int
	}{
		{"all", Config{Pprof: true, Metrics: reg}, map[string]int{"/": 200, "/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/cmdline": 200, "/x": 404}},
		{"nothing more", Config{}, map[string]int{"/": 200, "/metrics": 404, "/debug/pprof/": 404, "/debug/pprof/cmdline": 404}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, tt.cfg)
			for path, want := range tt.codes {
				if code, _ := get(t, url+path); code != want {
					t.Errorf("%s: %d, want %d", path, code, want)
				}
			}
			_, index := get(t, url+"/")
			if strings.Contains(index, "pprof") != tt.cfg.Pprof || strings.Contains(index, "metrics") != (tt.cfg.Metrics != nil) {
				t.Errorf("index:\n%s", index)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		listen string
		public bool
		err    error
	}{
		{"127.0.0.1:0", false, nil},
		{"[::1]:0", false, nil},
		{"localhost:0", false, nil},
		{"0.0.0.0:0", false, ErrPublic},
		{":0", false, ErrPublic},
		{"example.org:80", false, ErrPublic},
		{"0.0.0.0:0", true, nil},
	} {
		if _, err := New(Config{Listen: tt.listen, Public: tt.public}, nil); !errors.Is(err, tt.err) {
			t.Errorf("%s, public %v: %v, want %v", tt.listen, tt.public, err, tt.err)
		}
	}
	if _, err := New(Config{Listen: "nonsense"}, nil); err == nil {
		t.Error("an address without port was taken")
	}
}

func TestRebindingIsRefused(t *testing.T) {
	url := serve(t, Config{})
	as := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	for host, want := range map[string]int{"evil.example:80": 403, "localhost:1": 200, "localhost": 200, "[::1]:5": 200} {
		if code, _ := get(t, url+"/healthz", as(host)); code != want {
			t.Errorf("Host %s: %d, want %d", host, code, want)
		}
	}
	url = serve(t, Config{Listen: "0.0.0.0:0", Public: true})
	if code, _ := get(t, strings.Replace(url, "[::]", "127.0.0.1", 1)+"/healthz", as("gateway.example")); code != 200 {
		t.Errorf("a public listener refused its name: %d", code)
	}
}

func TestListenFails(t *testing.T) {
	url := serve(t, Config{})
	s, err := New(Config{Listen: strings.TrimPrefix(url, "http://")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err == nil {
		t.Error("two servers listen on one port")
	}
}
