// Package logging makes the program's logger: one line for each event, text from peers as data, and output that neither
// stops nor ends the program when nobody takes it.
package logging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Config configures a [Logger].
type Config struct {
	Level   zapcore.Level
	Console bool      // for reading by eye, instead of JSON
	Output  io.Writer // default os.Stderr
}

// Logger is a zap.Logger whose level can be changed while it is used.
type Logger struct {
	*zap.Logger
	level zap.AtomicLevel
	out   *output
}

// New returns a logger. It must be closed.
func New(cfg Config) *Logger {
	if cfg.Output == nil {
		cfg.Output = os.Stderr
	}
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.MessageKey = "time", "msg"
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	enc.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.Console {
		enc.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		enc.ConsoleSeparator = "  "
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	l := &Logger{level: zap.NewAtomicLevelAt(cfg.Level), out: newOutput(cfg.Output)}
	core := sample(&limited{Core: zapcore.NewCore(encoder, l.out, l.level)}, &l.out.dropped)
	l.Logger = zap.New(core, zap.ErrorOutput(zapcore.AddSync(io.Discard)))
	return l
}

// SetLevel changes the level.
func (l *Logger) SetLevel(level zapcore.Level) { l.level.SetLevel(level) }

// Dropped counts the lines that were lost because the output failed or did not take them, and those left out since the same was
// said too often.
func (l *Logger) Dropped() uint64 { return l.out.dropped.Load() }

// Close writes what is left, for a second at most. Lines that are logged later are lost.
func (l *Logger) Close() error {
	const patience = time.Second
	if err := l.out.close(patience); err != nil {
		return fmt.Errorf("logging: %w", err)
	}
	return nil
}

var errStuck = errors.New("the output takes nothing")
