package app

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/fx"
)

// ErrRefused is returned by Serve when the server refuses the secret or does not know the domain, and trying again would not
// help.
var ErrRefused = errors.New("app: refused by the server")

// ErrFailed is returned by Serve when a part of the gateway failed; the log says which.
var ErrFailed = errors.New("app: a part failed")

// Serve runs the gateway until ctx ends, and then ends it in order: it is what "gateway run" does, without command line, signals
// and log of its own. It suits tests, and programs that do more than this.
func Serve(ctx context.Context, p Params, modules ...fx.Option) error {
	app := fx.New(Modules(p), fx.Options(modules...))
	if err := app.Err(); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	// Starting takes no time, and ending while it goes on is ending in order, not a failure.
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StartTimeout())
	defer cancel()
	if err := app.Start(start); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	var failure error
	select {
	case <-ctx.Done():
	case s := <-app.Wait():
		switch s.ExitCode {
		case ExitOK:
		case ExitRefused:
			failure = ErrRefused
		default:
			failure = ErrFailed
		}
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTimeout())
	defer cancel()
	if err := app.Stop(stop); err != nil {
		failure = errors.Join(failure, fmt.Errorf("app: %w", err))
	}
	return failure
}
