package service

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

// fields are flags for the fields of a service that have one value, named and explained as api.Service does.
type fields map[string]reflect.StructField

func newFields(c *cobra.Command) fields {
	all := fields{}
	t := reflect.TypeFor[api.Service]()
	for n := range t.NumField() {
		f := t.Field(n)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name = strings.ReplaceAll(name, "_", "-")
		kind := f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		doc := f.Tag.Get("doc")
		switch {
		case name == "name":
			continue
		case kind.Kind() == reflect.String:
			c.Flags().String(name, "", doc)
		case kind.Kind() == reflect.Int64:
			c.Flags().Int64(name, 0, doc)
			c.Flag(name).DefValue = "0" // the help shows no default: the text tells it
		case kind.Kind() == reflect.Bool:
			c.Flags().Bool(name, false, doc)
		default:
			continue
		}
		all[name] = f
		if words := f.Tag.Get("enum"); words != "" {
			_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(strings.Split(words, ","), cobra.ShellCompDirectiveNoFileComp))
		}
	}
	return all
}

// given reports whether a flag of a field was given.
func (all fields) given(c *cobra.Command) bool {
	for name := range all {
		if c.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// check refuses numbers that no service can have, before the daemon is asked.
func (all fields) check(c *cobra.Command) error {
	for name, f := range all {
		flag := c.Flag(name)
		n, err := strconv.ParseInt(flag.Value.String(), 10, 64)
		if !flag.Changed || flag.Value.Type() != "int64" || err != nil {
			continue
		}
		least, most := int64(0), int64(1<<32-1)
		if f.Type.Kind() == reflect.Pointer {
			least = 1
		}
		for tag, bound := range map[string]*int64{"minimum": &least, "maximum": &most} {
			if b, err := strconv.ParseInt(f.Tag.Get(tag), 10, 64); err == nil {
				*bound = b
			}
		}
		if n < least || n > most {
			return cli.Usage(c, "--%s: %d is out of range: want %d to %d", name, n, least, most)
		}
	}
	return nil
}

// set sets the fields whose flags were given.
func (all fields) set(c *cobra.Command, s *api.Service) error {
	for name, f := range all {
		flag := c.Flag(name)
		if !flag.Changed {
			continue
		}
		to := reflect.ValueOf(s).Elem().FieldByIndex(f.Index)
		if to.Kind() == reflect.Pointer {
			to.Set(reflect.New(to.Type().Elem()))
			to = to.Elem()
		}
		switch to.Kind() {
		case reflect.String:
			if flag.Value.String() == "" {
				return cli.Usage(c, "--%s: it is empty", name)
			}
			to.SetString(flag.Value.String())
		case reflect.Bool:
			to.SetBool(flag.Value.String() == "true")
		default:
			var n int64
			if _, err := fmt.Sscan(flag.Value.String(), &n); err != nil {
				return cli.Usage(c, "--%s: %v", name, err)
			}
			to.SetInt(n)
		}
	}
	return nil
}

// drop leaves out the defaults that belonged to what was changed: a table's size to maglev, an encapsulation to ipip, an idle time
// to tracking; and replicas for those of a pool.
func (all fields) drop(c *cobra.Command, s *api.Service) {
	changed := func(name string) bool { return c.Flags().Changed(name) }
	if changed("scheduler") && !changed("table-size") {
		s.TableSize = nil
	}
	if changed("hash") && !changed("seed") {
		s.Seed = 0
	}
	if changed("mode") && s.Mode != "ipip" {
		s.Encapsulation, s.TunnelPort, s.TunnelSources = "", nil, ""
	}
	if changed("encapsulation") && !changed("tunnel-port") {
		s.TunnelPort = nil
	}
	if changed("pool") {
		s.Replicas = nil
	}
	if changed("tracking") && s.Tracking == "never" {
		s.Idle = ""
	}
}
