"use strict";
// Whether a build fits a host, a Python and a platform: the rules of gpuimg/matrix/query.py on the document that
// `gpuimg matrix export --format json` writes. A test holds both to the same answers in the same words.
const gpuimgRules = (() => {
  const UNKNOWN = "unknown";
  const BEST_FIRST = ["runs", UNKNOWN, "cannot"];
  const SURE = ["stated", "seen"];

  /** A driver as numbers, or null where `text` is none. */
  function parseDriver(text) {
    return /^\d{3}(\.\d{1,9}){0,2}$/.test(text) ? text.split(".").map(Number) : null;
  }

  const shown = (driver) => driver.map((part) => String(part).padStart(2, "0")).join(".");

  /** Negative, zero or positive, as `a` is older than, the same as or newer than `b`; a branch is its first release. */
  function compare(a, b) {
    const n = a.findIndex((part, at) => part !== b[at]);
    return n < 0 || n >= b.length ? a.length - b.length : a[n] - b[n];
  }

  /** Whether `driver` is `needed` or newer; null where only the branch was named and the release decides. */
  function reaches(driver, needed) {
    if (compare(driver, needed) >= 0) return true;
    return driver.every((part, at) => part === needed[at]) ? null : false;
  }

  /** "12.0+PTX" → {major, minor, ptx} */
  function parseCapability(text) {
    const [, major, minor, ptx] = /^(\d+)\.(\d+)(\+PTX)?$/.exec(text);
    return { major: Number(major), minor: Number(minor), ptx: Boolean(ptx) };
  }

  const gpuName = (gpu) => (gpu.label === null ? `compute capability ${gpu.capability}` : `${gpu.label} (${gpu.capability})`);

  /** Whether a driver runs a CUDA release. */
  function driverForCuda(cuda, host, matrix) {
    if (!host.driver) return [];
    const driver = parseDriver(host.driver);
    const major = cuda.version.split(".")[0];
    const same = matrix.cudas.every((row) => row.version.split(".")[0] !== major || row.min_driver === cuda.min_driver);
    const named = `CUDA ${same ? major : cuda.version}`;
    const short = `driver ${cuda.min_driver}+`;
    const enough = reaches(driver, parseDriver(cuda.min_driver));
    if (enough === false) {
      return [{ answer: "cannot", short, text: `driver ${shown(driver)} is below ${cuda.min_driver}, which ${named} needs` }];
    }
    if (enough === null) {
      return [{ answer: UNKNOWN, short, text: `${named} needs driver ${cuda.min_driver}; ${shown(driver)} says only the branch` }];
    }
    if (cuda.toolkit_driver === UNKNOWN) {
      return [{ answer: "runs", text: `whether driver ${shown(driver)} loads PTX compiled with CUDA ${cuda.version} is unknown` }];
    }
    if (reaches(driver, parseDriver(cuda.toolkit_driver))) return [];
    const limit = "is older than its CUDA's toolkit: PTX compiled with that doesn't load; torch's own kernels do";
    return [{ answer: "runs", text: `driver ${shown(driver)} ${limit}` }];
  }

  /** Whether a driver runs a chip, whatever the build. */
  function driverForChip(gpu, host, matrix) {
    if (!host.driver) return [];
    const driver = parseDriver(host.driver);
    const chip = matrix.chips.find((row) => row.compute_capability === gpu.capability);
    if (!chip || chip.min_driver === UNKNOWN) {
      return [{ answer: UNKNOWN, short: "driver for GPU", text: `which driver is the first for ${gpuName(gpu)} is unknown` }];
    }
    const found = [];
    const enough = reaches(driver, parseDriver(chip.min_driver));
    const short = `GPU: driver ${chip.min_driver}+`;
    const sure = chip.sources.some((source) => source.fields.includes("min_driver") && SURE.includes(source.confidence));
    if (enough === false && sure) {
      found.push({ answer: "cannot", short, text: `driver ${shown(driver)} is below ${chip.min_driver}, the first for ${gpuName(gpu)}` });
    } else if (enough === false) {
      const text = `whether driver ${shown(driver)} runs ${gpuName(gpu)} is unknown; ${chip.min_driver} does`;
      found.push({ answer: UNKNOWN, short, text });
    } else if (enough === null) {
      found.push({ answer: UNKNOWN, short, text: `${gpuName(gpu)} needs driver ${chip.min_driver}; ${shown(driver)} says only the branch` });
    }
    if (chip.last_driver !== null && driver[0] > parseDriver(chip.last_driver)[0]) {
      const text = `driver ${shown(driver)} no longer runs ${gpuName(gpu)}: ${chip.last_driver} was the last branch`;
      found.push({ answer: "cannot", short: `GPU: driver to ${chip.last_driver}`, text });
    }
    return found;
  }

  /** Whether only Jetsons have this chip. */
  function isJetson(gpu, matrix) {
    const products = matrix.gpus.filter((row) => row.compute_capability === gpu.capability);
    return products.length > 0 && products.every((row) => row.name.startsWith("Jetson "));
  }

  /** Whether a build has code, or PTX, that the chip takes. */
  function code(on, gpu, cuda, host, matrix) {
    if (on.compute_capabilities === UNKNOWN) {
      const own = parseCapability(gpu.capability);
      const newer = (item) => item.major > own.major || (item.major === own.major && item.minor > own.minor);
      if (cuda.compute_capabilities.map(parseCapability).every(newer)) {
        const text = `CUDA ${cuda.version} compiles for no chip as old as ${gpuName(gpu)}`;
        return [{ answer: "cannot", short: `no code for ${gpu.capability}`, text }];
      }
      return [{ answer: UNKNOWN, short: "GPU code", text: "which compute capabilities it has code for is unknown" }];
    }
    const chip = parseCapability(gpu.capability);
    const jetson = isJetson(gpu, matrix);
    const built = on.compute_capabilities.map(parseCapability);
    const takes = (item) => chip.major === item.major && (jetson ? item.minor === chip.minor : item.minor <= chip.minor);
    if (built.some(takes)) return [];
    const below = (item) => item.major < chip.major || (item.major === chip.major && item.minor <= chip.minor);
    const name = gpuName(gpu);
    const short = `PTX only for ${gpu.capability}`;
    if (!built.some((item) => item.ptx && below(item))) {
      const own = jetson ? ", and a Jetson takes no other chip's" : "";
      return [{ answer: "cannot", short: `no code for ${gpu.capability}`, text: `no code for ${name}${own}` }];
    }
    if (!cuda.compute_capabilities.includes(gpu.capability)) {
      return [{ answer: UNKNOWN, short, text: `only PTX for ${name}, which is newer than CUDA ${cuda.version} and its libraries` }];
    }
    if (cuda.toolkit_driver === UNKNOWN) {
      return [{ answer: UNKNOWN, short, text: `only PTX for ${name}, and which driver takes PTX of CUDA ${cuda.version} is unknown` }];
    }
    const reached = host.driver ? reaches(parseDriver(host.driver), parseDriver(cuda.toolkit_driver)) : true;
    const answer = reached ? "runs" : reached === null ? UNKNOWN : "cannot";
    const text = `only PTX for ${name}, and PTX of CUDA ${cuda.version} needs driver ${cuda.toolkit_driver}`;
    return [{ answer, short: `PTX: driver ${cuda.toolkit_driver}+`, text }];
  }

  /** The platforms that a host with all these GPUs may have; null: any. */
  function hostPlatforms(gpus) {
    const named = gpus.map((gpu) => gpu.platforms).filter((platforms) => platforms.length);
    if (!named.length) return null;
    return named.reduce((left, right) => left.filter((platform) => right.includes(platform)));
  }

  /**
   * Whether a host runs `stack` on one of its platforms, or on one that `wish` allows. A wish is {driver, gpus: [{label,
   * capability}], python, platform}; null is any. `reasons` say why it can't or what isn't known, `short` the same in a
   * few words, `notes` what holds where it runs.
   */
  function judge(stack, wish, matrix) {
    const here = stack.platforms.filter((on) => !wish.platform || on.platform === wish.platform);
    const all = here.filter((on) => !wish.python || on.pythons.includes(wish.python));
    if (!all.length) return lacking(wish, here.length > 0);
    const hosts = wish.platform ? null : hostPlatforms(wish.gpus);
    const wanted = all.filter((on) => hosts === null || hosts.includes(on.platform));
    if (!wanted.length) return lacking({ platform: [...hosts].sort().join(" or ") }, false);
    const cuda = matrix.cudas.find((row) => row.version === stack.cuda);
    const general = [
      ...driverForCuda(cuda, wish, matrix),
      ...wish.gpus.flatMap((gpu) => driverForChip(gpu, wish, matrix)),
    ];
    const found = wanted.map((on) => {
      const findings = [...general, ...wish.gpus.flatMap((gpu) => code(on, gpu, cuda, wish, matrix))];
      return { on, findings, answer: worst(findings) };
    });
    const answer = BEST_FIRST.find((each) => found.some((one) => one.answer === each));
    const chosen = found.filter((one) => one.answer === answer);
    const said = texts(chosen, answer, found.length);
    return {
      answer,
      reasons: answer === "runs" ? [] : said.map(({ text }) => text),
      short: answer === "runs" ? [] : [...new Set(said.map(({ short }) => short))],
      notes: answer === "runs" ? said.map(({ text }) => text) : [],
      platforms: chosen.map((one) => one.on.platform),
    };
  }

  /** What is said for an answer. A reason that isn't one on every platform names its own, or stands back for those. */
  function texts(chosen, answer, platforms) {
    const said = new Map();
    for (const { on, findings } of chosen) {
      for (const { text, short } of findings.filter((finding) => finding.answer === answer)) {
        if (!said.has(text)) said.set(text, { text, short, on: new Set() });
        said.get(text).on.add(on.platform);
      }
    }
    const all = [...said.values()];
    const common = all.filter((each) => each.on.size === platforms);
    if (answer === "runs" || common.length === all.length) return all;
    if (answer === "cannot" && common.length) return common;
    return all.map((each) => (common.includes(each) ? each : { ...each, text: `${each.text} (${[...each.on].join(", ")})` }));
  }

  function worst(findings) {
    return [...BEST_FIRST].reverse().find((answer) => findings.some((finding) => finding.answer === answer)) ?? "runs";
  }

  /** The answer for a build without the Python, or even the platform, that is wished for. */
  function lacking({ python, platform }, hasPlatform) {
    const reason = hasPlatform ? `no wheel for Python ${python}` + (platform ? ` on ${platform}` : "") : `no build for ${platform}`;
    const short = hasPlatform ? `no Python ${python}` : `not on ${platform.replace("linux/", "")}`;
    return { answer: "cannot", reasons: [reason], short: [short], notes: [], platforms: [] };
  }

  return { parseDriver, judge };
})();
