package events

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// news is one of each kind that the engine tells.
var news = []engine.News{
	engine.IntentChanged{}, engine.ReplicaChanged{}, engine.HealthChanged{}, engine.InterfaceMissing{}, engine.InterfaceAttached{}, engine.OutOfSync{}, engine.InSync{},
	engine.Network{Event: lb.Event{Kind: lb.LinkChanged}}, engine.Network{Event: lb.Event{Kind: lb.LinkGone}}, engine.Network{Event: lb.Event{Kind: lb.LinkLost}},
	engine.Network{Event: lb.Event{Kind: lb.NextHopChanged}}, engine.Network{Event: lb.Event{Kind: lb.Mended}}, engine.Network{Event: lb.Event{Kind: lb.EventsLost}},
}

// TestEveryKind: what the engine tells, by its source, has a kind, and the document of the API names them all.
func TestEveryKind(t *testing.T) {
	var kinds []string
	told := map[string]bool{}
	for _, n := range news {
		told[reflect.TypeOf(n).Name()] = true
		w := of(1, engine.Event{News: n})
		if kinds = append(kinds, w.Kind); w.Kind == "" {
			t.Errorf("%T has no kind", n)
		}
	}
	field, _ := reflect.TypeFor[api.Event]().FieldByName("Kind")
	named := strings.Split(field.Tag.Get("enum"), ",")
	kinds = append(kinds, Gap)
	slices.Sort(kinds)
	slices.Sort(named)
	if !slices.Equal(kinds, named) {
		t.Errorf("kinds %v, the document has %v", kinds, named)
	}
	sources, err := filepath.Glob("../engine/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources of the engine: ", err)
	}
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is && f.Recv != nil && f.Name.Name == "news" {
				if name := f.Recv.List[0].Type.(*ast.Ident).Name; !told[name] {
					t.Errorf("the engine tells %s, which is not among those of this test", name)
				}
			}
		}
	}
}

// started returns an engine over a datapath in memory, and what makes a change of it.
func started(t *testing.T) (*engine.Engine, func(name string)) {
	t.Helper()
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: oracle.New(oracle.Config{}), Store: &storetest.Memory{}}, intent.Default())
	if err != nil {
		t.Fatal(err)
	}
	return e, func(name string) {
		t.Helper()
		s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}}.WithDefaults()
		_, _, err := e.Change(t.Context(), engine.Change{Actor: "test", Reason: name, Edit: func(i intent.Intent) (intent.Intent, error) {
			i.Services = []*intent.Service{{Name: name, Service: s}}
			return i, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestReaderTellsWhatItMissed: exactly, however far behind it is, and then each event once.
func TestReaderTellsWhatItMissed(t *testing.T) {
	e, change := started(t)
	r, err := NewReader(e, "", true, "")
	if err != nil {
		t.Fatal(err)
	}
	const changes = 9000
	sum, lost := uint64(0), uint64(0)
	read := func() {
		all, _ := r.Next()
		for _, w := range all {
			if w.Kind != Gap {
				sum++
			}
			if lost += w.Lost; w.Revision != sum+lost && w.Kind != Gap {
				t.Fatalf("revision %d after %d events and %d lost", w.Revision, sum, lost)
			}
		}
	}
	for n := range changes {
		change([]string{"a", "b"}[n%2])
		if n < 10 || n > 8000 {
			read()
		}
	}
	if read(); sum+lost != changes+1 || lost == 0 || sum < 3000 { // the start is one
		t.Errorf("%d told, %d lost of %d", sum, lost, changes+1)
	}
}

// TestReaderGoesOn: after an id, after one that is not kept any more, and after one of another daemon.
func TestReaderGoesOn(t *testing.T) {
	e, change := started(t)
	change("a")
	change("b")
	for _, c := range []struct {
		after string
		want  []string
	}{
		{id(e.Epoch(), 1), []string{"a", "b"}},
		{id(e.Epoch(), 3), nil},
		{id(e.Epoch(), 99), nil},
		{id(e.Epoch()-1, 2), []string{Gap, "", "a", "b"}},
		{id(e.Epoch()+1, 0), []string{Gap, "", "a", "b"}}, // the clock was set back
	} {
		r, err := NewReader(e, c.after, false, "")
		if err != nil {
			t.Fatal(err)
		}
		all, _ := r.Next()
		var got []string
		for _, w := range all {
			name := strings.Join(w.Services, " ")
			if w.Kind == Gap {
				name = Gap
			}
			got = append(got, strings.TrimSuffix(name, " a"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("after %s: %q, want %q", c.after, got, c.want)
		}
	}
	r, err := NewReader(e, "", false, "")
	if err != nil {
		t.Fatal(err)
	}
	if all, _ := r.Next(); len(all) > 0 {
		t.Errorf("from now on: %v", all)
	}
	_, more := r.Next()
	change("c")
	select {
	case <-more:
	case <-time.After(time.Minute):
		t.Fatal("a reader that waits is not woken")
	}
	if all, _ := r.Next(); len(all) != 1 || all[0].Reason != "c" {
		t.Errorf("then: %+v", all)
	}
}
