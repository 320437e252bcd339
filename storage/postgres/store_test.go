//go:build integration

package postgres_test

import (
	"testing"

	"github.com/postern-im/postern/storage/storagetest"
)

func TestStore(t *testing.T)               { storagetest.Run(t, engine()) }
func TestFLT11_Contention(t *testing.T)    { storagetest.Contention(t, engine()) }
func TestFLT22_Replays(t *testing.T)       { storagetest.Replays(t, engine()) }
func TestSEC68_HostileValues(t *testing.T) { storagetest.Hostile(t, engine()) }
