package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/admin"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/presence"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/secret"
)

var superviseModule = fx.Module("supervise", fx.Provide(newSupervisor), fx.Invoke(supervise))

// networkGrace is how long a network may take to end its own side, before the link is drained.
const networkGrace = 1500 * time.Millisecond

// SupervisorParams is what has a life of its own.
type SupervisorParams struct {
	fx.In

	Database   *database
	Vault      *secret.Vault
	Owner      *outbox.Owner
	Outbox     *outbox.Outbox
	Component  *component.Component
	Router     *router.Router
	Presence   *presence.Manager
	Privilege  *privilege.Manager
	Delegation *delegation.Manager
	Network    gateway.Network
	Admin      *admin.Server
	Log        *zap.Logger
}

// supervisor opens the database and then, while it holds the lease, runs the network, the link and the outbox. It ends all in order.
type supervisor struct {
	parts  SupervisorParams
	herald *herald
	log    *zap.Logger

	fail   func(code int) // ends the program
	cancel context.CancelFunc
	done   chan struct{}
}

func newSupervisor(p SupervisorParams) *supervisor {
	return &supervisor{
		parts: p, log: p.Log,
		herald: &herald{Router: p.Router, presence: p.Presence, privilege: p.Privilege, log: p.Log},
	}
}

// supervise ties the supervisor and the admin server to the program's start and stop. Starting only opens the admin address and
// begins a goroutine: that a server cannot be reached is a state that is shown, not a reason not to start.
func supervise(lc fx.Lifecycle, sd fx.Shutdowner, s *supervisor) {
	s.fail = func(code int) {
		if err := sd.Shutdown(fx.ExitCode(code)); err != nil {
			s.log.Error("the program could not be told to end", zap.Error(err))
		}
	}
	lc.Append(fx.Hook{OnStart: s.start, OnStop: s.stop})
}

func (s *supervisor) start(ctx context.Context) error {
	if s.parts.Admin != nil {
		if err := s.parts.Admin.Listen(ctx); err != nil {
			return err
		}
		s.log.Info("admin server listens", zap.Stringer("addr", s.parts.Admin.Addr()))
	}
	// The context of the hook ends with the start; this one lasts until stop.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		s.run(run)
	}()
	return nil
}

// stop ends everything and waits, as long as ctx lasts.
func (s *supervisor) stop(ctx context.Context) error {
	s.cancel()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("app: stopping: %w", ctx.Err())
	}
}

// run runs everything until ctx ends or a part fails. Nothing is sent before the database can be used and the lease is held. The admin
// server outlives all else, so that the drain can be watched.
func (s *supervisor) run(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	watch, endWatch := context.WithCancel(context.WithoutCancel(ctx))
	defer endWatch()
	if s.parts.Admin != nil {
		watching.Go(func() {
			if err := s.parts.Admin.Serve(watch); err != nil {
				s.log.Error("admin server failed", zap.Error(err))
			}
		})
	}
	var err error
	check := func(ctx context.Context) error { return checkKeys(ctx, s.parts.Vault) }
	err = s.parts.Database.open(ctx, check) // guard: FLT-05
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("the database cannot be used, and trying again would not help", zap.Error(err))
			s.fail(ExitFailure)
		}
		return
	}
	watching.Go(func() { s.parts.Database.watch(watch) })
	if err := s.parts.Owner.Run(ctx, s.serve); err != nil {
		s.log.Debug("a part failed", zap.Error(err)) // which has said why
	}
}

// errEnded is that a part has ended which should not have, and has said why.
var errEnded = errors.New("app: a part has ended")

// serve runs the parts until ctx ends or one of them fails, then the others until they have ended. The link outlives the network and
// the outbox, so that what the network sends at its end still leaves; except when the lease is lost: then it goes first.
func (s *supervisor) serve(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	link, endLink := context.WithCancel(context.WithoutCancel(ctx))
	defer endLink()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		if err := s.parts.Outbox.Run(ctx, s.parts.Component); err != nil && ctx.Err() == nil {
			s.log.Error("the outbox failed", zap.Error(err))
			s.fail(ExitFailure)
			end(errEnded)
		}
	})
	if s.parts.Delegation != nil {
		running.Go(func() { s.record(ctx, s.parts.Delegation.Serve) })
	}
	if s.parts.Privilege != nil {
		running.Go(func() { s.record(ctx, s.parts.Privilege.Serve) })
	}
	network := make(chan struct{})
	go func() { // not waited for beyond its grace: it is not our code
		defer close(network)
		switch err := s.serveNetwork(ctx); {
		case err == nil:
		case ctx.Err() != nil:
			s.log.Warn("the network ended with an error", zap.Error(err))
		default:
			s.log.Error("the network failed", zap.Error(err))
			s.fail(ExitFailure)
			end(errEnded)
		}
	}()
	defer s.herald.stop()
	defer s.parts.Component.OnState(s.herald.state)()
	linkDone := make(chan error, 1)
	go func() { linkDone <- s.parts.Component.Serve(link, s.herald) }()

	select {
	case err := <-linkDone:
		s.linkFailed(err)
		end(errEnded)
		s.awaitNetwork(network)
	case <-ctx.Done():
		s.log.Info("stopping", zap.NamedError("cause", context.Cause(ctx)))
		if !errors.Is(context.Cause(ctx), storage.ErrLost) {
			s.awaitNetwork(network)
		}
		endLink()
		if err := <-linkDone; err != nil {
			s.log.Error("the link ended with an error", zap.Error(err))
		}
		s.awaitNetwork(network)
	}
	if errors.Is(context.Cause(ctx), errEnded) {
		return errEnded
	}
	return nil
}

// record keeps what servers grant, for reports. That it fails is no reason not to serve.
func (s *supervisor) record(ctx context.Context, serve func(context.Context) error) {
	if err := serve(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("what servers grant is not recorded", zap.Error(err))
	}
}

// awaitNetwork waits until the network has ended, for its grace at most.
func (s *supervisor) awaitNetwork(ended <-chan struct{}) {
	t := time.NewTimer(networkGrace)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		s.log.Warn("the network did not end in time", zap.Duration("grace", networkGrace))
	}
}

// serveNetwork runs the network. A panic is an error like any other: users are still owed their answers.
func (s *supervisor) serveNetwork(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("the network panicked", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("app: the network panicked: %v", v)
		}
	}()
	err = s.parts.Network.Serve(ctx, s.parts.Component)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// linkFailed ends the program when the link has ended by itself: it tries again by itself wherever that may help.
func (s *supervisor) linkFailed(err error) {
	code := ExitFailure
	var ce *component.Error
	if errors.As(err, &ce) && ce.Permanent { // guard: FLT-04
		code = ExitRefused
	}
	s.log.Error("the server refuses us, and trying again would not help; gateway check says what to do", zap.Error(err), zap.Int("exit", code))
	s.fail(code)
}
