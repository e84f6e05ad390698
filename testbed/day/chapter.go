package day

import (
	"bufio"
	"fmt"
	"regexp"
	"strings"
)

// title is the heading of the chapter.
const title = "## A day with lbctl"

// step is a command of the chapter, or a file on the balancer.
type step struct {
	// machine is where the command is typed, line where it stands in the document.
	machine, command string
	line             int
	// output is what the chapter shows of what it prints, line by line.
	output []string
	// file is the name of a file, whose lines are the output.
	file string
}

// prompt is a line that somebody types: root's at the balancer and the replicas, a user's at the client.
var prompt = regexp.MustCompile(`^(balancer|client|replica[123])[#$] (.+)$`)

// named is the first line of a file that the chapter shows.
var named = regexp.MustCompile(`^# ([a-z0-9.]+\.(?:yaml|yml))$`)

// chapter returns the steps of the chapter in a document: what stands in its blocks of the kinds console and yaml.
func chapter(document string) (steps []step, err error) {
	in, block := false, ""
	lines := bufio.NewScanner(strings.NewReader(document))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		fence, is := strings.CutPrefix(line, "```")
		switch {
		case is && block != "":
			block = ""
		case is:
			block = fence
		case block == "" && strings.HasPrefix(line, "## "):
			in = line == title
		case in && (block == "console" || block == "yaml"):
			if steps, err = more(steps, block, line, n); err != nil {
				return nil, err
			}
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("no chapter %q with commands", title)
	}
	return steps, lines.Err()
}

// more adds a line of a block to the steps.
func more(steps []step, block, line string, n int) ([]step, error) {
	if file := named.FindStringSubmatch(line); block == "yaml" && file != nil {
		return append(steps, step{file: file[1], line: n}), nil
	}
	if typed := prompt.FindStringSubmatch(line); block == "console" && typed != nil {
		return append(steps, step{machine: typed[1], command: typed[2], line: n}), nil
	}
	if len(steps) == 0 || (block == "yaml") != (steps[len(steps)-1].file != "") {
		return nil, fmt.Errorf("line %d: neither a file's name nor a command before it", n)
	}
	last := &steps[len(steps)-1]
	if last.output = append(last.output, line); block == "console" && line == "" {
		last.output = last.output[:len(last.output)-1]
	}
	return steps, nil
}

// varying is what differs from one day to the next: numbers with what is around them, as in times, MAC addresses and shares.
var varying = regexp.MustCompile(`[0-9a-fA-F:.+-]*[0-9][0-9a-zA-Z:.+-]*`)

// same returns a line without what differs from one day to the next, and without the width of columns.
func same(line string) string {
	return strings.Join(strings.Fields(varying.ReplaceAllString(line, "N")), " ")
}

// missing returns the first line of want that printed does not have, in this order, "" if it has all. A line ... stands for any.
func missing(want, printed []string) string {
	for _, w := range want {
		if w == "..." {
			continue
		}
		for {
			if len(printed) == 0 {
				return w
			}
			found := same(printed[0]) == same(w)
			printed = printed[1:]
			if found {
				break
			}
		}
	}
	return ""
}
