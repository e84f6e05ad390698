# A machine for tests: systemd as the first process of namespaces of its own, on a copy of this root file system.
# machine.sh FOLDER: FOLDER has the program lbctl, lb.yaml, and the files of deploy/systemd.
set -eu
folder=$1
if [ "${2:-}" != inside ]; then # a control group of its own, which becomes the root of those that systemd sees
	mount --make-rprivate /
	mkdir -p "$folder/cgroup" "$folder/root" "$folder/writes"
	mount -t cgroup2 cgroup2 "$folder/cgroup"
	mkdir "$folder/cgroup/${folder##*/}"
	echo $$ >"$folder/cgroup/${folder##*/}/cgroup.procs"
	exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child sh "$0" "$folder" inside
fi
root=$folder/root
mount -t tmpfs tmpfs "$folder/writes"
mkdir "$folder/writes/upper" "$folder/writes/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/writes/upper,workdir=$folder/writes/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t bpf bpffs "$root/sys/fs/bpf" -o mode=700
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/etc/lbctl" "$root/usr/lib/sysusers.d"
rm -rf "$root/etc/machine-id" "$root"/etc/systemd/system/* # of this host's services none is started
cp "$folder/lbctl" "$root/usr/bin/lbctl"
cp "$folder/lb.yaml" "$root/etc/lbctl/lb.yaml"
cp "$folder/lbctl.service" "$root/etc/systemd/system/"
cp "$folder/lbctl.sysusers.conf" "$root/usr/lib/sysusers.d/lbctl.conf"
ip link set lo up
for i in 0 1; do
	ip link add "eth$i" type veth peer name "peer$i"
	ip addr add "10.$i.0.254/24" dev "eth$i"
	ip link set "eth$i" up
	ip link set "peer$i" up
done
exec chroot "$root" env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=basic.target
