// Package admin serves health, readiness, metrics and profiles over plain net/http. It is given checks and collectors and
// knows nothing of what they look at.
//
//	/healthz       200 while the process can answer at all
//	/readyz        200 when every check passes, else 503; both with JSON that says why
//	/metrics       for Prometheus
//	/debug/pprof/  Go's profiles, where Config.Pprof is set
//
// There is no authentication: [Config.Listen] should be an address of this machine alone, and New refuses any other unless
// Config.Public is set.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// ErrPublic is returned by New for an address that other machines may reach.
var ErrPublic = errors.New("admin: others could reach this address, and there is no authentication")

// Config configures a [Server]. Listen is required.
type Config struct {
	Listen string // host:port; port 0 for any
	Public bool   // allow an address that is not loopback
	Pprof  bool   // serve profiles, which show what is in memory
	// Checks are asked for each /readyz, in order. They must not block.
	Checks []Check
	// Info is shown by /readyz beside the checks: what tells this gateway from another.
	Info map[string]string
	// Metrics is what /metrics shows; nil: nothing.
	Metrics prometheus.Gatherer
}

// Check is one condition of being ready.
type Check struct {
	Name  string
	Ready func() (ready bool, reason string) // reason says why not, or what the state is
}

// Server is the HTTP server.
type Server struct {
	cfg  Config
	log  *zap.Logger
	ln   net.Listener
	http *http.Server
}

// New checks the configuration. It opens nothing. A nil log is silent.
func New(cfg Config, log *zap.Logger) (*Server, error) {
	if log == nil {
		log = zap.NewNop()
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: address %q: %w", cfg.Listen, err)
	}
	local := loopback(host)
	if !local && !cfg.Public {
		return nil, fmt.Errorf("%w: %s", ErrPublic, cfg.Listen)
	}
	s := &Server{cfg: cfg, log: log}
	h := s.handler()
	if local {
		h = localOnly(h)
	}
	const (
		headerTime = 5 * time.Second
		readTime   = 10 * time.Second
		writeTime  = 2 * time.Minute // a CPU profile takes 30 s by default
		headerSize = 16 << 10
	)
	s.http = &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: time.Minute,
		MaxHeaderBytes: headerSize, ErrorLog: zap.NewStdLog(log),
	}
	return s, nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{
			ErrorLog: zap.NewStdLog(s.log), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
		}))
	}
	if s.cfg.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// Listen opens the address, so that an error shows before anything else is started.
func (s *Server) Listen(ctx context.Context) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	s.ln = ln
	return nil
}

// Addr returns the opened address, or nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// Serve serves until ctx ends. Listen must have succeeded. Requests under way have a second to finish.
func (s *Server) Serve(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		const grace = time.Second
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if s.http.Shutdown(end) != nil {
			_ = s.http.Close()
		}
	})
	err := s.http.Serve(s.ln)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("admin: %w", err)
}

// loopback reports whether only this machine can connect to the host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// localOnly refuses requests whose Host is a name other than localhost: a page in the operator's browser could have its own name
// resolve to 127.0.0.1, and read what is served here (DNS rebinding).
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, "only as localhost or by an IP address", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
