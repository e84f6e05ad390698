package wire

import (
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// What a check may ask for.
const (
	minInterval, maxInterval, defaultInterval = 100 * time.Millisecond, time.Hour, 2 * time.Second
	minTimeout, defaultTimeout                = 10 * time.Millisecond, time.Second
	minSlowStart, maxSlowStart                = time.Second, time.Hour
	maxInARow                                 = 100
	maxCheckText                              = 1024
	maxArguments                              = 64
	maxStatuses                               = 16
)

// fieldsOfType are the fields of a check that only some types have.
var fieldsOfType = map[string][]intent.CheckType{
	"port":        {intent.CheckTCP, intent.CheckHTTP, intent.CheckHTTPS, intent.CheckUDP},
	"path":        {intent.CheckHTTP, intent.CheckHTTPS},
	"status":      {intent.CheckHTTP, intent.CheckHTTPS},
	"statuses":    {intent.CheckHTTP, intent.CheckHTTPS},
	"body":        {intent.CheckHTTP, intent.CheckHTTPS},
	"host":        {intent.CheckHTTP, intent.CheckHTTPS},
	"server_name": {intent.CheckHTTPS},
	"certificate": {intent.CheckHTTPS},
	"send":        {intent.CheckUDP},
	"expect":      {intent.CheckUDP},
	"command":     {intent.CheckExec},
	"interval":    activeChecks,
	"timeout":     activeChecks,
	"rise":        activeChecks,
	"fall":        activeChecks,
}

// activeChecks are the types that ask something.
var activeChecks = []intent.CheckType{intent.CheckTCP, intent.CheckHTTP, intent.CheckHTTPS, intent.CheckUDP, intent.CheckExec}

// resolveHealth makes a check of a service of a document; without one there is none.
func resolveHealth(ps *intent.Problems, field string, d *api.HealthCheck, of lb.Service) (c intent.Check) {
	if d == nil {
		return c
	}
	if c.Type = choice(ps, field+"type", d.Type, intent.NoCheck, intent.ParseCheckType, intent.CheckTypes()...); c.Type == intent.NoCheck {
		if d.Type == "" {
			ps.Add(field+"type", wantOneOf(intent.CheckTypes()), "missing")
		}
		return c
	}
	for _, f := range setFields(d) {
		if of, some := fieldsOfType[f.name]; some && !slices.Contains(of, c.Type) {
			ps.Add(field+f.name, "leave it out, or use "+oneOf(of), "not with type %v", c.Type)
		}
	}
	resolveTimes(ps, field, d, &c)
	resolvePassive(ps, field, d, of, &c)
	c.WhenNone = choice(ps, field+"on_all_unhealthy", d.OnAllUnhealthy, intent.AllServe, intent.ParseWhenNone, intent.AllServe, intent.NoneServes)
	c.Port = uint16(within(ps, field+"port", d.Port, 0, 1, 65535))
	switch c.Type {
	case intent.CheckHTTP, intent.CheckHTTPS:
		resolveHTTP(ps, field, d, &c)
	case intent.CheckUDP:
		c.Send, c.Expect = payload(ps, field+"send", d.Send), payload(ps, field+"expect", d.Expect)
		if d.Send == "" {
			ps.Add(field+"send", `write the datagram: send: ping, or send: "hex:0001"`, "missing")
		}
	case intent.CheckExec:
		c.Command = command(ps, field+"command", d.Command)
	}
	return c
}

// oneOf names the types that a field is for.
func oneOf(types []intent.CheckType) string {
	if len(types) == 1 {
		return "type " + types[0].String()
	}
	return "type " + strings.TrimPrefix(wantOneOf(types), "want ")
}

func resolveTimes(ps *intent.Problems, field string, d *api.HealthCheck, c *intent.Check) {
	c.SlowStart = timeSpan(ps, field+"slow_start", d.SlowStart, 0, minSlowStart, maxSlowStart)
	if c.Type == intent.CheckPassive {
		return
	}
	c.Interval = timeSpan(ps, field+"interval", d.Interval, defaultInterval, minInterval, maxInterval)
	c.Timeout = timeSpan(ps, field+"timeout", d.Timeout, min(defaultTimeout, c.Interval), minTimeout, c.Interval)
	c.Rise = uint16(within(ps, field+"rise", d.Rise, 2, 1, maxInARow))
	c.Fall = uint16(within(ps, field+"fall", d.Fall, 3, 1, maxInARow))
}

// timeSpan parses a span in milliseconds at the finest, so that it is written as it was read.
func timeSpan(ps *intent.Problems, field string, text api.Duration, def, least, most time.Duration) time.Duration {
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < least || d > most || d%time.Millisecond != 0 {
		ps.Add(field, fmt.Sprintf("want whole milliseconds from %v to %v, as in 500ms or 2s", least, most), "%q is no such time", text)
		return def
	}
	return d
}

func within(ps *intent.Problems, field string, n *int64, def, least, most int64) int64 {
	if n == nil {
		return def
	}
	if *n < least || *n > most {
		ps.Add(field, fmt.Sprintf("want %d to %d, or leave it out", least, most), "%d is out of range", *n)
		return def
	}
	return *n
}

var (
	// checkPath is the target of a request: visible ASCII characters.
	checkPath = regexp.MustCompile(`^/[!-~]*$`)
	// checkHost is a name or an address, with or without a port.
	checkHost = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$`)
	// checkName is a name, or an address.
	checkName = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)
)

func resolveHTTP(ps *intent.Problems, field string, d *api.HealthCheck, c *intent.Check) {
	c.Path, c.Body, c.Host, c.ServerName = d.Path, d.Body, d.Host, d.ServerName
	if c.Path == "" {
		c.Path = "/"
	}
	matches(ps, field+"path", c.Path, checkPath, "want a path that begins with / and has no spaces: /healthz")
	c.Status = statuses(ps, field, d)
	matches(ps, field+"body", c.Body, nil, "")
	matches(ps, field+"host", c.Host, checkHost, "want a name or an address, with or without a port: www.example.com")
	if c.Type != intent.CheckHTTPS {
		return
	}
	switch d.Certificate {
	case "", "verify":
	case "ignore":
		c.AnyCertificate = true
	default:
		ps.Add(field+"certificate", "want verify or ignore", "%q is not known", d.Certificate)
	}
	matches(ps, field+"server_name", c.ServerName, checkName, "want the name in the certificate: www.example.com")
	if c.ServerName == "" {
		c.ServerName = hostname(c.Host)
	}
	if c.ServerName == "" && !c.AnyCertificate {
		ps.Add(field+"server_name", "write the name in the certificate, server_name: www.example.com; or certificate: ignore", "missing")
	}
}

// statusRange is a status, or the first and the last of several.
var statusRange = regexp.MustCompile(`^([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?$`)

// statuses returns those that an answer may have.
func statuses(ps *intent.Problems, field string, d *api.HealthCheck) intent.Statuses {
	const want = `want 100 to 599, or a range of them with the lower one first, as in ["200-299", "304"]`
	switch {
	case len(d.Statuses) == 0:
		return intent.Statuses(strconv.FormatInt(within(ps, field+"status", d.Status, 200, 100, 599), 10))
	case d.Status != nil:
		ps.Add(field+"statuses", "leave one of the two out", "beside status")
	case len(d.Statuses) > maxStatuses:
		ps.Add(field+"statuses", fmt.Sprintf("want at most %d", maxStatuses), "%d statuses", len(d.Statuses))
	}
	all := make([]string, len(d.Statuses))
	for n, s := range d.Statuses {
		ends := statusRange.FindStringSubmatch(string(s))
		if ends == nil || ends[2] != "" && ends[2] < ends[1] {
			ps.Add(fmt.Sprintf("%sstatuses[%d]", field, n), want, "%q", s)
		}
		all[n] = string(s)
	}
	return intent.Statuses(strings.Join(all, ","))
}

// statusDocument writes those in a document: one of them as a number.
func statusDocument(d *api.HealthCheck, s intent.Statuses) {
	if one, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		d.Status = &one
		return
	}
	for part := range strings.SplitSeq(string(s), ",") {
		d.Statuses = append(d.Statuses, api.StatusRange(part))
	}
}

// hostname returns a host without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// matches refuses a text that is too long, or is not of a form; "" is none, and right.
func matches(ps *intent.Problems, field, text string, form *regexp.Regexp, want string) {
	switch {
	case len(text) > maxCheckText:
		ps.Add(field, fmt.Sprintf("want at most %d bytes", maxCheckText), "%d bytes", len(text))
	case text != "" && form != nil && !form.MatchString(text):
		ps.Add(field, want, "%q", text)
	}
}

// payload parses the bytes of a datagram.
func payload(ps *intent.Problems, field, text string) intent.Payload {
	matches(ps, field, text, nil, "")
	if _, err := intent.Payload(text).Bytes(); err != nil {
		ps.Add(field, "want pairs of hexadecimal digits after hex:, as in hex:0001; or text", "%q: %v", text, err)
	}
	return intent.Payload(text)
}

func command(ps *intent.Problems, field string, args []string) intent.Command {
	const want = `want the path of a program and its arguments, as in ["/usr/lib/checks/db", "--quick"]; there is no shell`
	switch {
	case len(args) == 0:
		ps.Add(field, want, "missing")
		return ""
	case len(args) > maxArguments:
		ps.Add(field, fmt.Sprintf("want at most %d", maxArguments), "%d arguments", len(args))
		return ""
	case !strings.HasPrefix(args[0], "/"):
		ps.Add(field+"[0]", want, "%q is no absolute path", args[0])
	}
	for n, a := range args {
		matches(ps, fmt.Sprintf("%s[%d]", field, n), a, nil, "")
		if strings.ContainsRune(a, 0) {
			ps.Add(fmt.Sprintf("%s[%d]", field, n), "leave it out", "a zero byte")
		}
	}
	return intent.NewCommand(args)
}

// health returns a check as a document with every default written out, nil for none.
func health(c intent.Check) *api.HealthCheck {
	if c.Type == intent.NoCheck {
		return nil
	}
	d := &api.HealthCheck{
		Type: c.Type.String(), OnAllUnhealthy: c.WhenNone.String(), Path: c.Path, Body: c.Body, Host: c.Host, ServerName: c.ServerName,
		Send: string(c.Send), Expect: string(c.Expect), Command: c.Command.Args(), Passive: passive(c.Passive),
	}
	if c.Type != intent.CheckPassive {
		d.Interval, d.Timeout, d.Rise, d.Fall = span(c.Interval), span(c.Timeout), number(c.Rise), number(c.Fall)
	}
	if c.SlowStart != 0 {
		d.SlowStart = span(c.SlowStart)
	}
	if c.Port != 0 {
		d.Port = number(c.Port)
	}
	if c.Status != "" {
		statusDocument(d, c.Status)
	}
	if c.Type == intent.CheckHTTPS {
		d.Certificate = "verify"
		if c.AnyCertificate {
			d.Certificate = "ignore"
		}
	}
	return d
}

// setField is a field of a check that a document sets, and its value.
type setField struct{ name, text string }

// setFields returns the fields that a document sets, in their order; none of nil.
func setFields(d *api.HealthCheck) (set []setField) {
	if d == nil {
		return nil
	}
	return setFieldsOf(reflect.ValueOf(*d), "")
}

func setFieldsOf(v reflect.Value, prefix string) (set []setField) {
	for n := range v.NumField() {
		f := v.Field(n)
		if f.IsZero() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		name, _, _ := strings.Cut(v.Type().Field(n).Tag.Get("json"), ",")
		if f.Kind() == reflect.Struct {
			set = append(set, setFieldsOf(f, prefix+name+".")...)
		} else {
			set = append(set, setField{prefix + name, fmt.Sprint(f.Interface())})
		}
	}
	return set
}

// healthChanges calls add for every field in which two checks differ.
func healthChanges(old, next intent.Check, add func(field, before, after string)) {
	if old == next {
		return
	}
	had, has := setFields(health(old)), setFields(health(next))
	textOf := func(all []setField, name string) string {
		if n := slices.IndexFunc(all, func(f setField) bool { return f.name == name }); n >= 0 {
			return all[n].text
		}
		return ""
	}
	for _, f := range had {
		add(f.name, f.text, textOf(has, f.name))
	}
	for _, f := range has {
		if textOf(had, f.name) == "" {
			add(f.name, "", f.text)
		}
	}
}
