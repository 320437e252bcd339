package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Status is what /readyz answers.
type Status struct {
	Ready  bool              `json:"ready"`
	Checks []CheckStatus     `json:"checks"`
	Info   map[string]string `json:"info,omitempty"`
}

// CheckStatus is the outcome of one check.
type CheckStatus struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

// Status asks the checks.
func (s *Server) Status() Status {
	st := Status{Ready: true, Checks: make([]CheckStatus, 0, len(s.cfg.Checks)), Info: s.cfg.Info}
	for _, c := range s.cfg.Checks {
		ready, reason := c.Ready()
		st.Ready = st.Ready && ready
		st.Checks = append(st.Checks, CheckStatus{Name: c.Name, Ready: ready, Reason: reason})
	}
	return st
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	st := s.Status()
	code := http.StatusOK
	if !st.Ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, st)
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]bool{"healthy": true})
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, path := range s.paths() {
		_, _ = fmt.Fprintln(w, path) // the client has gone: nobody to tell
	}
}

func (s *Server) paths() []string {
	list := []string{"/healthz", "/readyz"}
	if s.cfg.Metrics != nil {
		list = append(list, "/metrics")
	}
	if s.cfg.Pprof {
		list = append(list, "/debug/pprof/")
	}
	return list
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // as above
}
