package servertest

import (
	"testing"
)

// Stop ends the server in order, as TERM does, and waits until it is gone.
func (s *Server) Stop(t testing.TB) { t.Helper(); s.run.mustDo(t, s.run.stop) }

// Kill ends the server at once (KILL) and waits until it is gone: its peers see closed or reset connections, and no farewell.
func (s *Server) Kill(t testing.TB) { t.Helper(); s.run.mustDo(t, s.run.kill) }

// Start starts a server that was stopped or killed, on the same ports and with its data, and waits until it is ready.
func (s *Server) Start(t testing.TB) { t.Helper(); s.run.mustDo(t, s.run.start) }

// Restart is Stop and Start.
func (s *Server) Restart(t testing.TB) { t.Helper(); s.Stop(t); s.Start(t) }

// Pause freezes the server: its connections stay open and silent, as behind a network that swallows packets.
func (s *Server) Pause(t testing.TB) { t.Helper(); s.run.mustDo(t, s.run.pause) }

// Continue wakes a server that was paused.
func (s *Server) Continue(t testing.TB) { t.Helper(); s.run.mustDo(t, s.run.resume) }

// Log returns everything that the server has printed since it was created, over all its starts.
func (s *Server) Log() string { return s.run.log() }

// attachLog adds the log, from the given offset, to a test that failed.
func (s *Server) attachLog(t testing.TB, from int) { t.Helper(); s.run.attachLog(t, from) }
