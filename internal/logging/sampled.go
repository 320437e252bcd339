package logging

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap/zapcore"
)

const perMinute = 100 // lines of one level and message

// sampled is a core that writes a message of level info or above at most [perMinute] times in a minute, whatever its fields are, so
// that what a stranger causes again and again neither fills a disk nor hides what matters. Debug is complete: whoever turns it on
// wants to see everything, such as each stanza of the wire log.
type sampled struct {
	zapcore.Core
	all zapcore.Core
}

func sample(core zapcore.Core, leftOut *atomic.Uint64) zapcore.Core {
	count := zapcore.SamplerHook(func(_ zapcore.Entry, d zapcore.SamplingDecision) {
		if d&zapcore.LogDropped != 0 {
			leftOut.Add(1)
		}
	})
	return &sampled{zapcore.NewSamplerWithOptions(core, time.Minute, perMinute, 0, count), core}
}

// With implements zapcore.Core.
func (c *sampled) With(fields []zapcore.Field) zapcore.Core {
	return &sampled{c.Core.With(fields), c.all.With(fields)}
}

// Check implements zapcore.Core.
func (c *sampled) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Level < zapcore.InfoLevel { // guard: SEC-67 replace: e.Level < zapcore.InfoLevel => true
		return c.all.Check(e, ce)
	}
	return c.Core.Check(e, ce)
}
