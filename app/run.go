package app

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/logging"
)

// runCommand is "gateway run".
type runCommand struct{ configured }

func (c *runCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Connect to the server and serve, until SIGTERM.",
		Long: `Serves until SIGTERM or SIGINT, then ends in order: nothing new is taken in, what was taken in is answered, and the
server has read it all. A second signal ends at once. SIGHUP reads the configuration again: the log's level and wire
are changed without a restart, and a link that waits is tried at once.

Exit codes: 0 ended in order, 1 failure, 2 wrong configuration, 3 refused by the server.`,
		Example: c.p.expand(`  ${name} run --config gateway.yaml
  ${prefix}_COMPONENT_DOMAIN=gateway.example.org ${prefix}_COMPONENT_SECRET_FILE=/run/secret ${name} run
  ${name} run --config gateway.yaml --log-level=debug --log-format=console --log-wire=redacted`),
	}
	c.flags(cmd.Flags(), "YAML `FILE` with the configuration. Environment variables override it, and the flags below override these.")
	return cmd
}

func (c *runCommand) run(ctx context.Context) int {
	cfg, warnings, err := c.load()
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	return c.p.serve(ctx, cfg, warnings, c.load)
}

// serve runs the gateway until a signal, or until it fails for good.
func (p *program) serve(ctx context.Context, cfg Config, warnings []string, reload func() (Config, []string, error)) int {
	log := newLogger(cfg.Log, p.stderr)
	code := p.serveLogged(ctx, cfg, warnings, reload, log)
	_ = log.Close() // the log is the only place to complain
	return code
}

func newLogger(c LogConfig, out io.Writer) *logging.Logger {
	return logging.New(logging.Config{Level: c.level(), Console: c.Format == FormatConsole, Output: out})
}

func (p *program) serveLogged(ctx context.Context, cfg Config, warnings []string, reload func() (Config, []string, error), log *logging.Logger) int {
	for _, w := range warnings {
		log.Warn("configuration", zap.String("warning", w))
	}
	var live reloaded
	app := fx.New(
		Modules(Params{
			Config: cfg, Network: p.network, Log: log.Logger, Name: p.name, Version: p.version, CapsNode: p.url,
			Middleware: p.middleware, dropped: log.Dropped,
		}),
		fx.Options(p.modules...),
		fx.Populate(&live.component, &live.wire),
	)
	live.log, live.cfg, live.load = log, cfg, reload
	if err := app.Err(); err != nil {
		log.Error("the gateway cannot be put together", zap.Error(root(err)))
		p.complain(err)
		return ExitFailure
	}
	log.Info("starting", zap.String("name", p.name), zap.String("version", p.version), zap.Stringer("domain", cfg.Component.Domain),
		zap.String("addr", cfg.Component.Address), zap.Int("pid", os.Getpid()))
	start, cancel := context.WithTimeout(ctx, app.StartTimeout())
	err := app.Start(start)
	cancel()
	if err != nil {
		log.Error("start failed", zap.Error(err))
		p.complain(err)
		return ExitFailure
	}
	// What the start has left behind goes back to the system. The collector by itself would keep it: it frees no heap below 4 MiB.
	debug.FreeOSMemory()
	code := p.await(ctx, app.Wait(), &live)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTimeout())
	defer cancel()
	go p.hurry(stop, log) // guard: FLT-24
	if err := app.Stop(stop); err != nil {
		log.Error("not ended in order", zap.Error(err))
		code = max(code, ExitFailure)
	}
	log.Info("stopped", zap.Int("exit", code))
	return code
}

// root returns the innermost cause: what fx puts around it is for those who change the wiring, who see it on standard error.
func root(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// await waits until the gateway is to be stopped and returns the exit code so far. fx listens for the signals, too, but
// would swallow a second one.
func (p *program) await(ctx context.Context, shutdown <-chan fx.ShutdownSignal, live *reloaded) int {
	for {
		select {
		case sig := <-p.signals:
			if sig == syscall.SIGHUP {
				live.reload()
				continue
			}
			live.log.Info("signal", zap.Stringer("signal", sig))
			return ExitOK
		case s := <-shutdown:
			if s.ExitCode == ExitOK && s.Signal != nil { // the same signal comes to p.signals, where hurry must not find it
				continue
			}
			return s.ExitCode
		case <-ctx.Done():
			return ExitOK
		}
	}
}

// hurry ends the process when another signal comes while it is being stopped.
func (p *program) hurry(ctx context.Context, log *logging.Logger) {
	for {
		select {
		case sig := <-p.signals:
			if s, ok := sig.(syscall.Signal); ok && s != syscall.SIGHUP {
				log.Warn("second signal; ending at once", zap.Stringer("signal", sig))
				_ = log.Close() // as far as it goes
				p.kill(128 + int(s))
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// reloaded is what SIGHUP changes.
type reloaded struct {
	component *component.Component
	wire      *wireLog
	log       *logging.Logger
	cfg       Config
	load      func() (Config, []string, error)
}

// reload reads the configuration again. If anything is wrong with it, nothing changes.
func (r *reloaded) reload() {
	if r.load != nil {
		cfg, warnings, err := r.load()
		if err != nil { // guard: FLT-25
			r.log.Error("configuration refused; the old one stays", zap.Error(err))
			return
		}
		for _, w := range warnings {
			r.log.Warn("configuration", zap.String("warning", w))
		}
		r.log.SetLevel(cfg.Log.level())
		r.wire.mode.Store(cfg.Log.Wire)
		r.cfg.Log.Level, r.cfg.Log.Wire = cfg.Log.Level, cfg.Log.Wire
		restart := !reflect.DeepEqual(r.cfg, cfg)
		r.log.Info("configuration read again", zap.String("level", cfg.Log.Level), zap.String("wire", cfg.Log.Wire), zap.Bool("restart_needed", restart))
	}
	r.component.Resume()
}
