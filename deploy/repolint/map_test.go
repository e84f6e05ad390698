package repolint

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mapLine is one room of the README's map: two spaces a floor, its name, what it is.
var mapLine = regexp.MustCompile(`^( *)([a-z0-9]+)/?( {2,}\S.*)?$`)

// TestMapIsTheTree holds the README's map of the house against the packages that there are.
func TestMapIsTheTree(t *testing.T) {
	drawn, built := readMap(t), map[string]bool{}
	for _, p := range packages(t) {
		place := strings.TrimPrefix(p.ImportPath, "lbctl/")
		built[place] = true
		if !slices.Contains(drawn, place) {
			t.Errorf("%s is not on the map of README.md", place)
		}
	}
	for _, place := range drawn {
		isFolder := slices.ContainsFunc(drawn, func(other string) bool { return strings.HasPrefix(other, place+"/") })
		if !built[place] && !isFolder {
			t.Errorf("%s is on the map of README.md, and is no package", place)
		}
	}
}

func readMap(t *testing.T) (places []string) {
	readme, err := os.ReadFile(top + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "\n## The house\n")
	_, after, _ = strings.Cut(after, "```text\n")
	block, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("README.md has no map of the house")
	}
	var above []string
	for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
		m := mapLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("README.md: a line of the map that is no room: %q", line)
			continue
		}
		above = append(slices.Clone(above[:min(len(m[1])/2, len(above))]), m[2])
		places = append(places, strings.Join(above, "/"))
	}
	return places
}
