// vkstats FILE.spv [ASSEMBLY]: what a Vulkan driver's compiler says of a compute kernel, as one line of JSON.
//
// Opens the first Vulkan device, builds a pipeline of the kernel's entry point "main" and prints the driver's statistics of
// it (VK_KHR_pipeline_executable_properties). Into the file ASSEMBLY go the driver's internal representations, the
// machine code among them. One kernel a process: some drivers on a shim fail at a second one. Nothing is run.
//
// The device is opened as wgpu opens it, because compilers care: with robust buffer access where there is such, and pipelines
// whose subgroups may have any size. Bindings are those of our kernels: 0 a uniform buffer with a dynamic offset, the others
// storage buffers.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

// Storage buffers that a kernel may bind at most.
#define STORAGE_BUFFERS 16

static void check(VkResult result, const char *what) {
    if (result != VK_SUCCESS) {
        fprintf(stderr, "%s: VkResult %d\n", what, result);
        exit(1);
    }
}

// All memory is kept until the process ends.
static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count + 1, size);
    if (!memory) {
        perror("calloc");
        exit(1);
    }
    return memory;
}

static void print_string(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static uint32_t *read_words(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(path);
        exit(1);
    }
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint32_t *words = zeroed(*bytes, 1);
    if (fread(words, 1, *bytes, file) != *bytes) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return words;
}

static VkPhysicalDevice first_device(void) {
    VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo create = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    VkInstance instance;
    check(vkCreateInstance(&create, NULL, &instance), "vkCreateInstance");
    uint32_t count = 1;
    VkPhysicalDevice device = NULL;
    VkResult result = vkEnumeratePhysicalDevices(instance, &count, &device);
    if (result != VK_INCOMPLETE) check(result, "vkEnumeratePhysicalDevices");
    if (count == 0) {
        fprintf(stderr, "there is no Vulkan device\n");
        exit(1);
    }
    return device;
}

static int has_extension(VkPhysicalDevice physical, const char *name) {
    uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
    VkExtensionProperties *extensions = zeroed(count, sizeof *extensions);
    vkEnumerateDeviceExtensionProperties(physical, NULL, &count, extensions);
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(extensions[i].extensionName, name)) return 1;
    return 0;
}

static VkDevice open_device(VkPhysicalDevice physical) {
    if (!has_extension(physical, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME)) {
        fprintf(stderr, "the driver gives no statistics (VK_KHR_pipeline_executable_properties)\n");
        exit(1);
    }
    const char *extensions[2] = {VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME};
    uint32_t extension_count = 1;
    VkPhysicalDeviceVulkan13Features core13 = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .subgroupSizeControl = 1};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, .pNext = &core13,
        .pipelineExecutableInfo = 1};
    VkPhysicalDeviceRobustness2FeaturesEXT robust = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT, .pNext = &executables};
    VkPhysicalDeviceFeatures2 features = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &executables};
    if (has_extension(physical, VK_EXT_ROBUSTNESS_2_EXTENSION_NAME)) {
        VkPhysicalDeviceRobustness2FeaturesEXT has = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT};
        VkPhysicalDeviceFeatures2 ask = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &has};
        vkGetPhysicalDeviceFeatures2(physical, &ask);
        robust.robustBufferAccess2 = has.robustBufferAccess2;
        extensions[extension_count++] = VK_EXT_ROBUSTNESS_2_EXTENSION_NAME;
        features.pNext = &robust;
    }
    features.features.robustBufferAccess = 1;
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo create = {
        VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &features, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
        .enabledExtensionCount = extension_count, .ppEnabledExtensionNames = extensions};
    VkDevice device;
    check(vkCreateDevice(physical, &create, NULL, &device), "vkCreateDevice");
    return device;
}

static VkPipeline build_pipeline(VkDevice device, const char *path, int assembly) {
    size_t bytes;
    uint32_t *words = read_words(path, &bytes);
    VkShaderModuleCreateInfo module_create = {
        VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words};
    VkShaderModule module;
    check(vkCreateShaderModule(device, &module_create, NULL, &module), "vkCreateShaderModule");

    VkDescriptorSetLayoutBinding bindings[1 + STORAGE_BUFFERS];
    for (uint32_t i = 0; i < 1 + STORAGE_BUFFERS; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType =
                i == 0 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set_create = {
        VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 1 + STORAGE_BUFFERS, .pBindings = bindings};
    VkDescriptorSetLayout set;
    check(vkCreateDescriptorSetLayout(device, &set_create, NULL, &set), "vkCreateDescriptorSetLayout");
    VkPipelineLayoutCreateInfo layout_create = {
        VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set};
    VkPipelineLayout layout;
    check(vkCreatePipelineLayout(device, &layout_create, NULL, &layout), "vkCreatePipelineLayout");

    VkComputePipelineCreateInfo create = {
        VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                 (assembly ? VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR : 0),
        .stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .flags = VK_PIPELINE_SHADER_STAGE_CREATE_ALLOW_VARYING_SUBGROUP_SIZE_BIT,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = module, .pName = "main"},
        .layout = layout};
    VkPipeline pipeline;
    check(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &create, NULL, &pipeline), "vkCreateComputePipelines");
    return pipeline;
}

static void print_statistics(VkDevice device, const VkPipelineExecutableInfoKHR *executable) {
    PFN_vkGetPipelineExecutableStatisticsKHR get =
        (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutableStatisticsKHR");
    uint32_t count = 0;
    check(get(device, executable, &count, NULL), "vkGetPipelineExecutableStatisticsKHR");
    VkPipelineExecutableStatisticKHR *all = zeroed(count, sizeof *all);
    for (uint32_t i = 0; i < count; i++) all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    check(get(device, executable, &count, all), "vkGetPipelineExecutableStatisticsKHR");
    for (uint32_t i = 0; i < count; i++) {
        if (i) printf(", ");
        print_string(all[i].name);
        switch (all[i].format) {
            case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: printf(": %u", all[i].value.b32); break;
            case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: printf(": %lld", (long long)all[i].value.i64); break;
            case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR: printf(": %g", all[i].value.f64); break;
            default: printf(": %llu", (unsigned long long)all[i].value.u64);
        }
    }
}

static void write_representations(VkDevice device, const VkPipelineExecutableInfoKHR *executable, FILE *to) {
    PFN_vkGetPipelineExecutableInternalRepresentationsKHR get =
        (PFN_vkGetPipelineExecutableInternalRepresentationsKHR)vkGetDeviceProcAddr(
            device, "vkGetPipelineExecutableInternalRepresentationsKHR");
    uint32_t count = 0;
    check(get(device, executable, &count, NULL), "vkGetPipelineExecutableInternalRepresentationsKHR");
    VkPipelineExecutableInternalRepresentationKHR *all = zeroed(count, sizeof *all);
    for (uint32_t i = 0; i < count; i++) all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    // First their sizes, then the texts.
    check(get(device, executable, &count, all), "vkGetPipelineExecutableInternalRepresentationsKHR");
    for (uint32_t i = 0; i < count; i++) all[i].pData = zeroed(all[i].dataSize, 1);
    check(get(device, executable, &count, all), "vkGetPipelineExecutableInternalRepresentationsKHR");
    for (uint32_t i = 0; i < count; i++) fprintf(to, "===== %s\n%s\n", all[i].name, (char *)all[i].pData);
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: vkstats FILE.spv [ASSEMBLY]\n");
        return 2;
    }
    FILE *assembly = NULL;
    if (argc == 3 && !(assembly = fopen(argv[2], "w"))) {
        perror(argv[2]);
        return 1;
    }
    VkPhysicalDevice physical = first_device();
    VkDevice device = open_device(physical);
    VkPipeline pipeline = build_pipeline(device, argv[1], assembly != NULL);

    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(physical, &properties);
    PFN_vkGetPipelineExecutablePropertiesKHR get =
        (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutablePropertiesKHR");
    VkPipelineInfoKHR info = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    uint32_t count = 0;
    check(get(device, &info, &count, NULL), "vkGetPipelineExecutablePropertiesKHR");
    VkPipelineExecutablePropertiesKHR *all = zeroed(count, sizeof *all);
    for (uint32_t i = 0; i < count; i++) all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
    check(get(device, &info, &count, all), "vkGetPipelineExecutablePropertiesKHR");

    printf("{\"device\": ");
    print_string(properties.deviceName);
    // A driver may compile a kernel several times, as Intel's does for each subgroup size.
    printf(", \"executables\": [");
    for (uint32_t i = 0; i < count; i++) {
        printf("%s{\"name\": ", i ? ", " : "");
        print_string(all[i].name);
        printf(", \"subgroup\": %u, \"statistics\": {", all[i].subgroupSize);
        VkPipelineExecutableInfoKHR executable = {
            VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = i};
        print_statistics(device, &executable);
        printf("}}");
        if (assembly) write_representations(device, &executable, assembly);
    }
    printf("]}\n");
    if (assembly && fclose(assembly)) {
        perror(argv[2]);
        return 1;
    }
    // The device is not destroyed: on a shim some drivers fail at that.
    return 0;
}
