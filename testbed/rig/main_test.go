package rig_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// role is what the test binary is when it runs itself: "replica" or "client", configured by its argument.
const role = "LBCTL_RIG_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(role) {
	case "replica":
		err = replica.Main(context.Background(), os.Args[1], os.Stdin, os.Stdout)
	case "client":
		err = traffic.Main(context.Background(), os.Args[1], os.Stdin, os.Stdout)
	default:
		goleak.VerifyTestMain(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
