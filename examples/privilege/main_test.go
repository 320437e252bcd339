package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/programtest"
)

func TestMain(m *testing.M) {
	programtest.Main(main)
	goleak.VerifyTestMain(m)
}
