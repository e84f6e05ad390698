package events_test

import (
	"reflect"
	"strings"
	"testing"

	"lbctl/cmd/balance/events"
	"lbctl/cmd/cli"
	"lbctl/control/api"
)

// The help names every kind of event.
func TestHelpNamesKinds(t *testing.T) {
	field, _ := reflect.TypeFor[api.Event]().FieldByName("Kind")
	_, kinds, _ := strings.Cut(events.Command(&cli.App{}).Long, "Kinds: ")
	words := strings.FieldsFunc(kinds, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	for kind := range strings.SplitSeq(field.Tag.Get("enum"), ",") {
		if !strings.Contains(" "+strings.Join(words, " ")+" ", " "+kind+" ") {
			t.Errorf("the help lacks %s", kind)
		}
	}
}
