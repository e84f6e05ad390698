package nic

import (
	"testing"

	"lbctl/cmd/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, nil, Commands) }

func newWorld(t *testing.T) *clitest.World {
	t.Helper()
	return clitest.New(t, Commands)
}
