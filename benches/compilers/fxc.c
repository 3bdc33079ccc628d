// Compiles HLSL files by d3dcompiler_47.dll as wgpu does, for dx12.py: under Wine, too.
//
//   x86_64-w64-mingw32-gcc -O1 -Wall -o fxc.exe fxc.c
//   fxc.exe DLL < LIST
//
// A line of LIST is FILE ENTRY PROFILE; a line of the output is FILE, a tab, and what FXC refused or nothing.
#include <d3dcommon.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#define ENABLE_STRICTNESS (1 << 11)

typedef HRESULT(WINAPI *Compile)(LPCVOID, SIZE_T, LPCSTR, const void *, void *, LPCSTR, LPCSTR, UINT, UINT, ID3DBlob **, ID3DBlob **);

// All of a file; its length is put into size.
static char *contents(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    if (!file) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    *size = fread(text, 1, *size, file);
    fclose(file);
    return text;
}

// The first line with an error; those behind it say what led there.
static void print_error(ID3DBlob *messages) {
    char *line = messages ? strtok((char *)messages->lpVtbl->GetBufferPointer(messages), "\r\n") : NULL;
    while (line && !strstr(line, "error")) {
        line = strtok(NULL, "\r\n");
    }
    printf("%s", line ? line : "no message");
}

int main(int count, char **words) {
    HMODULE library = count == 2 ? LoadLibraryA(words[1]) : NULL;
    Compile compile = library ? (Compile)(void *)GetProcAddress(library, "D3DCompile") : NULL;
    if (!compile) {
        fprintf(stderr, "usage: fxc.exe d3dcompiler_47.dll < LIST\n");
        return 2;
    }
    char name[1024], entry[256], profile[32];
    while (scanf("%1023s %255s %31s", name, entry, profile) == 3) {
        size_t size = 0;
        char *text = contents(name, &size);
        printf("%s\t", name);
        if (!text) {
            printf("it can't be read");
        } else {
            ID3DBlob *code = NULL, *messages = NULL;
            if (FAILED(compile(text, size, NULL, NULL, NULL, entry, profile, ENABLE_STRICTNESS, 0, &code, &messages))) {
                print_error(messages);
            }
            free(text);
        }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
