package lab

import (
	"lbctl/testbed/helper"
	"lbctl/testbed/load"
	"lbctl/testbed/replica"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic"
	"lbctl/testbed/traffic/hold"
	"lbctl/testbed/vm/guest"
)

// Helpers is the registry of helper processes: what `lbctl testbed NAME CONFIG` can be.
func Helpers() []helper.Entry {
	return []helper.Entry{
		replica.Helper().Entry(), traffic.Helper().Entry(),
		echo.Helper().Entry(), hold.Helper().Entry(),
		load.Server().Entry(), load.Client().Entry(),
		guest.Helper().Entry(),
	}
}
