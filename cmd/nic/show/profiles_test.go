package show

import (
	"encoding/json"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss/nic"
)

func TestRSSProfiles(t *testing.T) {
	w := nictest.New(t, Command, ProfilesCommand)
	list := w.OK("rss", "profiles")
	var all profileAnswers
	if err := json.Unmarshal([]byte(w.OK("rss", "profiles", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	answers := all.Profiles
	if len(answers) != len(nic.Profiles()) || strings.Count(list, "\n") != len(answers)+1 {
		t.Errorf("%d profiles in JSON, want %d; the list:\n%s", len(answers), len(nic.Profiles()), list)
	}
	for i, p := range nic.Profiles() {
		if answers[i].Name != p.Name || len(answers[i].Tables) == 0 || len(answers[i].Origin) == 0 || answers[i].Verified != p.Verified {
			t.Errorf("%s: %+v", p.Name, answers[i])
		}
		one := w.OK("rss", "profiles", p.Name)
		for _, want := range append([]string{p.Driver, p.KeySource, p.Doubt}, p.Origin...) {
			if !strings.Contains(one, want) {
				t.Errorf("lbctl rss profiles %s lacks %q:\n%s", p.Name, want, one)
			}
		}
	}
	ena := w.OK("rss", "profiles", "ena")
	for _, want := range []string{"quirk     key in reverse byte order", "quirk     initial value 0xffffffff", "verified  yes\n"} {
		if !strings.Contains(ena, want) {
			t.Errorf("lbctl rss profiles ena lacks %q:\n%s", want, ena)
		}
	}
}

func TestRSSProfilesRefuses(t *testing.T) {
	w := nictest.New(t, Command, ProfilesCommand)
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"rss profiles enaa", cli.ExitNotFound, `profile "enaa" is not known`, "did you mean ena?"},
		{"rss profiles nosuchnic", cli.ExitNotFound, `profile "nosuchnic" is not known`, "list them: lbctl rss profiles"},
		{"rss profiles ena igb", cli.ExitUsage, `unexpected argument "igb"`, "see lbctl rss profiles --help"},
	} {
		w.Refused(c.line, c.code, c.what, c.hint)
	}
}
