package main

import (
	"testing"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, commands) }

func newWorld(t *testing.T) *clitest.World {
	t.Helper()
	return clitest.New(t, commands)
}
